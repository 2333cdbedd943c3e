// openPage.ts: the built page in headless Chromium, as a visitor has it: served from dist/page, driven by Playwright. Tests
// only; what is asserted is theirs.
import { rm, mkdtemp } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { browserFlags, ensureBrowser } from '../../scripts/browser.mjs';
import { buildIfStale, ROOT } from '../../scripts/build.mjs';
import { folderHandler, serve } from '../../scripts/staticServer.mjs';

export interface Visit {
  context: BrowserContext;
  page: Page;
  /** Of the page, with a slash at its end. */
  address: string;
  /** What went wrong in the page by itself: scripts, the console, the policy. */
  problems: string[];
  /** Ends the server, as a network that is gone; `serveAgain` brings it back at the same port. */
  stopServing(): Promise<void>;
  serveAgain(): Promise<void>;
  end(): Promise<void>;
}

export interface VisitOptions {
  /** Without WebGPU, as in a browser that has none. */
  withoutGpu?: boolean;
  viewport?: { width: number; height: number };
  /** Without what Playwright does to every page: to keep it seen and focused, so that it could not be frozen. */
  mayBeHidden?: boolean;
}

/** A port that is free now. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const listening = createServer().listen(0, '127.0.0.1', () => {
      const { port } = listening.address() as AddressInfo;
      listening.close(() => resolve(port));
    });
  });

/** A browser that is driven from beside, by its debugging port. */
async function besides(executablePath: string): Promise<{ context: BrowserContext; close: () => Promise<void> }> {
  const port = await freePort();
  const args = [...browserFlags({ gpu: 'software' }), `--remote-debugging-port=${port}`];
  const started = await chromium.launch({ executablePath, headless: false, args });
  const driven = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true });
  return {
    context: driven.contexts()[0]!,
    close: async () => {
      await driven.close();
      await started.close();
    },
  };
}

/** A browser with a profile of its own; nothing is opened yet. */
export async function visit({ withoutGpu = false, mayBeHidden = false, viewport }: VisitOptions = {}): Promise<Visit> {
  buildIfStale('page');
  const handler = folderHandler(path.join(ROOT, 'dist', 'page'));
  let server = await serve(handler, { port: 0 });
  const { port } = server;
  const executablePath = await ensureBrowser();
  const profile = await mkdtemp(path.join(tmpdir(), 'pupil-page-test-'));
  const persistent = (): Promise<BrowserContext> =>
    chromium.launchPersistentContext(profile, {
      executablePath,
      headless: false, // --headless=new is among the flags: Playwright's own headless shell has no WebGPU
      // Without leave to use software there is no adapter on a machine without a GPU; `navigator.gpu` no flag takes away.
      args: withoutGpu ? ['--headless=new', '--no-sandbox', '--disable-gpu'] : browserFlags({ gpu: 'software' }),
      viewport: viewport ?? { width: 1280, height: 800 },
    });
  const driven = mayBeHidden ? await besides(executablePath) : undefined;
  const context = driven?.context ?? (await persistent());
  if (withoutGpu) await context.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  const page = context.pages()[0] ?? (await context.newPage());
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(`script: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()}`);
  });
  return {
    context,
    page,
    address: `http://127.0.0.1:${port}/`,
    problems,
    stopServing: () => server.close(),
    serveAgain: async () => {
      server = await serve(handler, { port });
    },
    end: async () => {
      await (driven ?? context).close();
      await server.close().catch(() => undefined); // it may be stopped already
      await rm(profile, { recursive: true, force: true });
    },
  };
}
