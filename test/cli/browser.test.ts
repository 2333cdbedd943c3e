// browser.test.ts: finding, launching and losing a real headless browser; the page it opens has WebGPU and isolation.
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserFlags, findBrowser } from '../../scripts/browser.mjs';
import { hardwareDriver, vulkanEnvironment } from '../../scripts/vulkan.mjs';
import { launchBrowser, type LaunchedBrowser } from '../../src/cli/browser';
import { startFileServer, type FileServer } from '../../src/cli/fileServer';

let folder: string;
let server: FileServer;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pupil-browser-'));
  await mkdir(path.join(folder, 'page'));
  await writeFile(path.join(folder, 'page', 'index.html'), '<!doctype html><title>probe</title>');
  const ticks = 'let n = 0; const tick = () => { postMessage(++n); setTimeout(tick, 10); }; tick();';
  await writeFile(path.join(folder, 'page', 'ticks.js'), ticks);
  await writeFile(path.join(folder, 'numbers.bin'), Buffer.from([1, 2, 3, 4]));
  server = await startFileServer({ page: path.join(folder, 'page') });
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function withBrowser<T>(
  use: (browser: LaunchedBrowser) => Promise<T>,
  options: { userDataDir?: string } = {},
): Promise<T> {
  const browser = await launchBrowser({ gpu: 'software', ...options });
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}

describe('launchBrowser', () => {
  it('gives a page with WebGPU, cross-origin isolation, downloads in ranges and uploads', async () => {
    const shared = server.shareFolder(folder);
    const output = server.shareOutput(path.join(folder, 'out'));
    await withBrowser(async (browser) => {
      expect(browser.version).toMatch(/^\d+\./);
      const page = await browser.open(server.pageUrl);
      const seen = await browser.guard(
        page.evaluate(
          async ({ shared, output }) => {
            const adapter = await navigator.gpu.requestAdapter();
            const part = await fetch(`${shared}numbers.bin`, { headers: { range: 'bytes=1-2' } });
            const put = await fetch(`${output}back.bin`, { method: 'PUT', body: new Uint8Array([9, 8]) });
            return {
              adapter: adapter !== null,
              isolated: crossOriginIsolated,
              part: [...new Uint8Array(await part.arrayBuffer())],
              put: put.status,
            };
          },
          { shared, output },
        ),
      );
      expect(seen).toEqual({ adapter: true, isolated: true, part: [2, 3], put: 201 });
      expect(existsSync(path.join(folder, 'out', 'back.bin'))).toBe(true);
    });
  });

  it('keeps IndexedDB in a named profile on the same origin over a restart', async () => {
    const userDataDir = path.join(folder, 'profile');
    const write = `new Promise((resolve, reject) => {
      const opening = indexedDB.open('kept', 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore('s');
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const t = opening.result.transaction('s', 'readwrite', { durability: 'strict' });
        t.objectStore('s').put(7, 'k');
        t.oncomplete = () => resolve(0);
      };
    })`;
    const read = `new Promise((resolve, reject) => {
      const opening = indexedDB.open('kept', 1);
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const got = opening.result.transaction('s').objectStore('s').get('k');
        got.onsuccess = () => resolve(got.result);
        got.onerror = () => reject(got.error);
      };
    })`;
    await withBrowser(async (browser) => (await browser.open(server.pageUrl)).evaluate(write), { userDataDir });
    const kept = await withBrowser(async (browser) => (await browser.open(server.pageUrl)).evaluate(read), {
      userDataDir,
    });
    expect(kept).toBe(7);
  });

  it('a killed browser fails the waiting work with code browser, at once', async () => {
    const userDataDir = path.join(folder, 'killed');
    await withBrowser(
      async (browser) => {
        const page = await browser.open(server.pageUrl);
        const waiting = browser.guard(page.evaluate('new Promise(() => {})'));
        process.kill(await browser.processId(), 'SIGKILL'); // as an out-of-memory killer would
        await expect(waiting).rejects.toMatchObject({
          code: 'browser',
          message: expect.stringContaining('while it was in use') as string,
        });
      },
      { userDataDir },
    );
  });

  it('a crashed page fails the waiting work with code browser', async () => {
    await withBrowser(async (browser) => {
      const page = await browser.open(server.pageUrl);
      const waiting = browser.guard(page.evaluate('new Promise(() => {})'));
      page.goto('chrome://crash').catch(() => undefined);
      await expect(waiting).rejects.toMatchObject({ code: 'browser' });
    });
  });

  it('a page behind another one, and in a minimised window, keeps its pace: timers of page and worker', async () => {
    await withBrowser(async (browser) => {
      const page = await browser.open(server.pageUrl);
      await page.evaluate(TICK);
      const rates = async (): Promise<number[]> => {
        const read = (): Promise<number[]> => page.evaluate('[pageTicks, workerTicks]');
        const before = await read();
        await new Promise((resolve) => setTimeout(resolve, 1500));
        return (await read()).map((ticks, i) => (ticks - before[i]!) / 1.5);
      };
      const alone = await rates();
      await (await browser.context.newPage()).bringToFront();
      const behind = await rates();
      const session = await browser.context.newCDPSession(page);
      const { windowId } = await session.send('Browser.getWindowForTarget');
      await session.send('Browser.setWindowBounds', { windowId, bounds: { windowState: 'minimized' } });
      const minimised = await rates();
      // A page that is taken for hidden gets one tick a second, later one a minute; a busy machine makes fewer of 100.
      for (const rate of [...alone, ...behind, ...minimised]) expect(rate).toBeGreaterThan(10);
      expect(await page.evaluate('document.visibilityState')).toBe('visible');
    });
  });

  it('a missing page and a program that is no browser are errors that say so', async () => {
    await withBrowser(async (browser) => {
      await expect(browser.open(`${server.origin}/nothing.html`)).rejects.toMatchObject({
        code: 'browser',
        message: expect.stringContaining('404') as string,
      });
    });
    await expect(launchBrowser({ gpu: 'software', executablePath: '/bin/false' })).rejects.toMatchObject({
      code: 'browser',
      message: expect.stringContaining('/bin/false did not start') as string,
    });
  });
});

/** Counts in the page and in a worker, each by a chain of 10 ms timers, as the loop of a run is one. */
const TICK = `(() => {
  globalThis.pageTicks = globalThis.workerTicks = 0;
  const tick = () => { pageTicks++; setTimeout(tick, 10); };
  tick();
  const worker = new Worker('ticks.js');
  worker.onmessage = ({ data }) => { workerTicks = data; };
})()`;

describe('findBrowser', () => {
  it('takes PUPIL_BROWSER before everything, and refuses one that is not there', () => {
    expect(findBrowser({ PUPIL_BROWSER: process.execPath })).toBe(process.execPath);
    expect(() => findBrowser({ PUPIL_BROWSER: '/nowhere/chrome' })).toThrow(/not an executable file/);
  });

  it('passes over a stub that does not start', async () => {
    const stub = path.join(folder, 'bin');
    await mkdir(stub);
    await writeFile(path.join(stub, 'google-chrome'), '#!/bin/sh\necho "requires the chromium snap" >&2\nexit 1\n');
    await chmod(path.join(stub, 'google-chrome'), 0o755);
    expect(findBrowser({ ...process.env, PUPIL_BROWSER: '', PATH: `${stub}:${process.env.PATH ?? ''}` })).not.toContain(
      stub,
    );
  });

  it('flags: nothing that is not seen sleeps, in every mode; a window is opened only where it is asked for', () => {
    const awake = [
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
    ];
    for (const gpu of ['software', 'vulkan', 'native'] as const) {
      expect(browserFlags({ gpu })).toEqual(expect.arrayContaining(awake));
      expect(browserFlags({ gpu, headless: false })).toEqual(expect.arrayContaining(awake));
      expect(browserFlags({ gpu, headless: false })).not.toContain('--headless=new');
    }
  });

  it('flags: the GPU set asks for Vulkan, the software set does not', () => {
    expect(browserFlags({ gpu: 'vulkan' })).toContain('--use-angle=vulkan');
    expect(browserFlags({ gpu: 'software' })).not.toContain('--use-angle=vulkan');
    for (const gpu of ['software', 'vulkan', 'native'] as const) {
      expect(browserFlags({ gpu })).toEqual(expect.arrayContaining(['--headless=new', '--enable-unsafe-webgpu']));
    }
  });
});

describe('vulkanEnvironment', () => {
  it('respects a driver that was chosen, and refuses an unknown name', () => {
    expect(vulkanEnvironment({ VK_ICD_FILENAMES: '/some/icd.json' })).toEqual({});
    expect(vulkanEnvironment({ PUPIL_NODE_ADAPTER: 'default' })).toEqual({});
    if (process.platform === 'linux') {
      expect(() => vulkanEnvironment({ PUPIL_NODE_ADAPTER: 'voodoo' })).toThrow(/swiftshader, lavapipe or default/);
    }
  });
});

describe('hardwareDriver', () => {
  const ICD = '/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json';
  const usual = '/usr/share/vulkan/icd.d';
  /** A machine's folders, each with the paths in it. */
  const look = (more: Record<string, string[]>) => {
    const folders: Record<string, string[]> = { '/dev': ['/dev/nvidia0'], [path.dirname(ICD)]: [ICD], ...more };
    return (folder: string): string[] => folders[folder] ?? [];
  };

  it.runIf(process.platform === 'linux')(
    'names a driver file that no loader would find by itself, and no other',
    () => {
      const named = { VK_ICD_FILENAMES: ICD, VK_DRIVER_FILES: ICD };
      expect(hardwareDriver({}, look({}))).toEqual(named);
      expect(hardwareDriver({}, look({ [usual]: [`${usual}/lvp_icd.json`, `${usual}/intel_icd.json`] }))).toEqual(
        named,
      );
      expect(hardwareDriver({}, look({ [usual]: [`${usual}/nvidia_icd.json`] }))).toEqual({});
      expect(hardwareDriver({}, look({ '/dev': ['/dev/null'] }))).toEqual({}); // a driver alone proves nothing
      expect(hardwareDriver({ VK_DRIVER_FILES: '/own.json' }, look({}))).toEqual({});
    },
  );
});
