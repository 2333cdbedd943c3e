// streamMemory.test.ts (long): two layers of a 13B student in full width (655 million parameters, 1.3 GB of F16 made while
// they are read) stream in: how far the memory of the process grows, on Dawn in Node and in a renderer of Chromium. A
// software adapter keeps what is on the GPU in the memory of the process that runs it: in Node that is this one, so the
// account's bytes are taken off; in Chromium it is the GPU process, whose memory is not the renderer's.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'vite';
import { expect, it } from 'vitest';
import { madeCheckpoint } from '../../src/session/madeCheckpoint';
import { STORY_LLAMA } from '../../bench/studentSource';
import { browserFlags, ensureBrowser } from '../../scripts/browser.mjs';
import { openCheckpoint } from '../../src/formats/checkpointIndex';
import { Student } from '../../src/model/student';
import { testGpu } from '../kernels/device';
import type { StreamedIn } from './streamPage';

const CONFIG = {
  ...STORY_LLAMA,
  hidden_size: 5120,
  intermediate_size: 13_824,
  num_hidden_layers: 2,
  num_attention_heads: 40,
  num_key_value_heads: 40,
  vocab_size: 4096,
};
const MB = 1e6;
const LIMIT_MB = 300;
/** Packed elements of the largest weight: on the account as soon as there is room for them, resident when they are written. */
const LARGEST_WEIGHT_MB = (5120 * 13_824) / 2 / MB;

it(`Node: the process grows by less than ${LIMIT_MB} MB beside what is on the GPU`, async () => {
  const gpu = await testGpu();
  const made = madeCheckpoint(CONFIG, 'f16');
  const checkpoint = await openCheckpoint(made.open, 'made');
  // A small one first: what compilers and drivers take is no matter of the weights'.
  const tiny = madeCheckpoint(STORY_LLAMA, 'f16');
  (await Student.load(gpu, await openCheckpoint(tiny.open, 'tiny'), { quantize: 'nf4-double' })).destroy();
  const before = { ...process.memoryUsage(), gpu: gpu.account.current };
  let residentMB = 0;
  let scriptMB = 0;
  const look = (): void => {
    const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
    residentMB = Math.max(residentMB, (rss - before.rss - (gpu.account.current - before.gpu)) / MB);
    scriptMB = Math.max(scriptMB, (arrayBuffers + heapUsed - before.arrayBuffers - before.heapUsed) / MB);
  };
  const timer = setInterval(look, 10);
  gpu.account.restartPeak();
  const startedAt = performance.now();
  const student = await Student.load(gpu, checkpoint, { quantize: 'nf4-double', onProgress: look });
  clearInterval(timer);
  look();
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(
    `${gpu.adapter.description}: ${made.parameters} parameters, ${(made.sizeBytes / MB).toFixed(0)} MB in ${seconds.toFixed(1)} s; ` +
      `resident beside the GPU's +${residentMB.toFixed(0)} MB, array buffers and heap +${scriptMB.toFixed(0)} MB, ` +
      `staging on the GPU ${((gpu.account.peak - student.sizeBytes) / MB).toFixed(0)} MB`,
  );
  expect(made.sizeBytes).toBeGreaterThan(1.2e9);
  expect(residentMB).toBeLessThan(LIMIT_MB - LARGEST_WEIGHT_MB);
  expect(scriptMB).toBeLessThan(LIMIT_MB);
  expect((gpu.account.peak - before.gpu - student.sizeBytes) / MB).toBeLessThan(45);
  student.destroy();
});

/** Resident bytes of the renderers among a process's descendants (there may be a spare one), from /proc. */
function renderers(root: number): { pid: number; rss: number; peak: number }[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        const field = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return [
          {
            pid: Number(pid),
            parent: field('PPid'),
            rss: 1024 * field('VmRSS'),
            peak: 1024 * field('VmHWM'),
            renderer: command.includes('--type=renderer'),
          },
        ];
      } catch {
        return []; // it has ended
      }
    });
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  const below = (pid: number): boolean => pid === root || (pid > 1 && below(parents.get(pid) ?? 0));
  return all.filter(({ pid, renderer }) => renderer && below(pid));
}

/** Answers `/made/config.json` and ranges of `/made/model.safetensors`. */
function madeHandler(made: ReturnType<typeof madeCheckpoint>) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const source = await made.open((request.url ?? '').replace(/^\//, ''));
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (source === undefined || range === null) {
      response.writeHead(source === undefined ? 404 : 416).end();
      return;
    }
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, source.size)];
    response.writeHead(206, {
      'content-type': 'application/octet-stream',
      'content-range': `bytes ${start}-${end - 1}/${source.size}`,
      'content-length': end - start,
      'cache-control': 'no-store',
    });
    response.end(Buffer.from(await source.read(start, end)));
  };
}

const PAGE = '<!doctype html><title>stream</title><script type="module" src="/test/long/streamPage.ts"></script>';

it.skipIf(process.platform !== 'linux')(
  `Chromium: the renderer's resident memory, buffers included, grows by less than ${LIMIT_MB} MB`,
  async () => {
    const made = madeCheckpoint(CONFIG, 'f16');
    const folder = mkdtempSync(join(tmpdir(), 'pupil-stream-'));
    let ready!: () => void;
    let done!: (result: StreamedIn) => void;
    const isReady = new Promise<void>((resolve) => (ready = resolve));
    const result = new Promise<StreamedIn>((resolve) => (done = resolve));
    let go!: () => void;
    const mayGo = new Promise<void>((resolve) => (go = resolve));
    const vite = await createServer({
      configFile: false,
      logLevel: 'error',
      root: join(import.meta.dirname, '../..'),
      cacheDir: join(folder, 'vite'),
      optimizeDeps: { noDiscovery: true },
      server: { port: 0, host: '127.0.0.1', hmr: false, watch: null },
      plugins: [
        {
          name: 'made checkpoint',
          configureServer({ middlewares }) {
            const large = madeHandler(made);
            const tiny = madeHandler(madeCheckpoint(STORY_LLAMA, 'f16'));
            middlewares.use('/made', (request, response) => void large(request, response));
            middlewares.use('/tiny', (request, response) => void tiny(request, response));
            middlewares.use('/stream', (_, response) => void response.setHeader('content-type', 'text/html').end(PAGE));
            middlewares.use('/ready', (_, response) => {
              ready();
              void mayGo.then(() => response.end());
            });
            middlewares.use('/done', (request, response) => {
              done(
                JSON.parse(new URL(request.url ?? '', 'http://localhost').searchParams.get('result')!) as StreamedIn,
              );
              response.end();
            });
          },
        },
      ],
    });
    await vite.listen();
    // Nobody is attached to the browser: DevTools (and Playwright with it) would keep the bodies of responses in the renderer.
    const browser = spawn(
      await ensureBrowser(),
      [
        ...browserFlags({ gpu: 'software' }),
        `--user-data-dir=${join(folder, 'profile')}`,
        new URL('stream', vite.resolvedUrls!.local[0]!).href,
      ],
      { stdio: 'ignore' },
    );
    try {
      await isReady;
      const before = renderers(browser.pid!);
      expect(before.length).toBeGreaterThan(0);
      // From here on VmHWM is the peak of the load: nothing between two looks is missed.
      for (const { pid } of before) writeFileSync(`/proc/${pid}/clear_refs`, '5');
      go();
      const { adapter, parameters, seconds, gpuBytes } = await result;
      // The page's own renderer is the one that grew most; the others (a spare one, the browser's own pages) do nothing.
      const after = new Map(renderers(browser.pid!).map((one) => [one.pid, one]));
      const grown = before.flatMap(({ pid, rss }) => {
        const now = after.get(pid);
        if (now === undefined) return [];
        return [{ beforeMB: rss / MB, grownMB: (now.peak - rss) / MB, keptMB: (now.rss - rss) / MB }];
      });
      const { beforeMB, grownMB, keptMB } = grown.reduce((a, b) => (b.grownMB > a.grownMB ? b : a));
      console.log(
        `${adapter}: ${parameters} parameters, ${(made.sizeBytes / MB).toFixed(0)} MB over HTTP in ` +
          `${seconds.toFixed(1)} s; renderer ${beforeMB.toFixed(0)} MB before, at most +${grownMB.toFixed(0)} MB, ` +
          `afterwards +${keptMB.toFixed(0)} MB; student on the GPU ${(gpuBytes / MB).toFixed(0)} MB`,
      );
      expect(parameters).toBe(made.parameters);
      expect(grownMB).toBeGreaterThan(0);
      expect(grownMB).toBeLessThan(LIMIT_MB);
    } finally {
      const ended = new Promise((resolve) => browser.once('exit', resolve));
      browser.kill();
      await ended;
      await vite.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  },
);
