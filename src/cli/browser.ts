// browser.ts: launches the full Chrome or Chromium, headless or on a display, with WebGPU, on a profile of its own, opens the page in it
// and notices when it dies. How the page is spoken to is not decided here.
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { browserFlags, BrowserMissingError, ensureBrowser, type GpuMode } from '../../scripts/browser.mjs';
import { PupilError } from '../base/errors';
import { browserGroups, endGroups } from './browserProcesses';

export type { GpuMode };

export interface LaunchOptions {
  /** `software` (SwiftShader), `vulkan` (a Linux server's GPU; falls back silently) or `native`. */
  gpu: GpuMode;
  /** The browser's profile: keeps IndexedDB over restarts. Absent: a fresh one, removed at the end. */
  userDataDir?: string;
  /** Executable; found, or installed, when absent. */
  executablePath?: string;
  /** Further flags; of a flag that is there twice, the browser takes the last. */
  extraFlags?: readonly string[];
  /** How long it may take to start before it is killed. */
  startMs?: number;
  /** How long it may take to close in order before it is killed. */
  closeMs?: number;
  /** A display to open a window on, `:7`, where headless gives no GPU; headless without. */
  display?: string;
  /** Beside this process's environment, e.g. which Vulkan driver to take. */
  env?: Readonly<Record<string, string>>;
  /** Lines of the page's console and of the launcher (installing a browser). */
  onLog?: (level: string, text: string) => void;
}

export interface LaunchedBrowser {
  readonly context: BrowserContext;
  readonly executablePath: string;
  /** The flags it was started with, for `doctor`. */
  readonly flags: readonly string[];
  /** e.g. `156.0.7801.2` */
  readonly version: string;
  /** The browser's main process, for tests that end it the hard way. */
  processId(): Promise<number>;
  /** Its process that talks to the GPU, where there is one. */
  gpuProcessId(): Promise<number | undefined>;
  /** Opens an address and waits for its load. @throws PupilError `browser` */
  open(url: string): Promise<Page>;
  /** The work's result, or a PupilError `browser` as soon as the browser or a page dies. */
  guard<T>(work: Promise<T>): Promise<T>;
  /** Has all waiting work fail: the browser is there and of no use any more. */
  giveUp(what: string): void;
  /** Ends the browser, by force where it does not close; a fresh profile is removed. */
  close(): Promise<void>;
}

const START_MS = 60_000;
const CLOSE_MS = 15_000;

/** The browser's executable. @throws PupilError `browser` with what to install. */
export async function browserExecutable(log: (line: string) => void): Promise<string> {
  try {
    return await ensureBrowser({ log });
  } catch (error) {
    if (error instanceof BrowserMissingError) {
      throw new PupilError('browser', error.message, error.hint, { cause: error });
    }
    throw error;
  }
}

/** @throws PupilError `browser` when it cannot be found or started. */
export async function launchBrowser(options: LaunchOptions): Promise<LaunchedBrowser> {
  const log = options.onLog ?? (() => undefined);
  const executablePath = options.executablePath ?? (await browserExecutable((line) => log('info', line)));
  const fresh = options.userDataDir === undefined;
  const userDataDir = path.resolve(options.userDataDir ?? (await mkdtemp(path.join(tmpdir(), 'pupil-profile-'))));
  const removeProfile = async (): Promise<void> => {
    // The browser's helpers may write for a moment after its end.
    if (fresh) await rm(userDataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  // Where a signal ends this process, nothing is closed in order.
  const atExit = (): void => rmSync(userDataDir, { recursive: true, force: true });
  if (fresh) process.once('exit', atExit);
  const { display } = options;
  const flags = [...browserFlags({ gpu: options.gpu, headless: display === undefined }), ...(options.extraFlags ?? [])];

  const others = browserGroups(userDataDir);
  let context: BrowserContext;
  try {
    context = await chromium.launchPersistentContext(userDataDir, {
      executablePath,
      headless: false, // Playwright's own headless mode is a shell without WebGPU; --headless=new is among the flags
      args: flags,
      env: { ...environment(), ...options.env, ...(display === undefined ? {} : { DISPLAY: display }) },
      viewport: { width: 1280, height: 900 },
      // Ctrl+C is the command line's to handle: it lets a run checkpoint before the browser goes.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      timeout: options.startMs ?? START_MS,
    });
  } catch (error) {
    // One that hangs would keep the profile, and the GPU, from the next.
    await endGroups(browserGroups(userDataDir).filter((group) => !others.includes(group)));
    await removeProfile();
    throw launchError(executablePath, userDataDir, error);
  }

  if (fresh) {
    // Again, so that it comes after Playwright's own listener, which ends the browser.
    process.off('exit', atExit);
    process.once('exit', atExit);
  }

  const groups = browserGroups(userDataDir);

  let closing = false;
  let die: (error: PupilError) => void = () => undefined;
  const death = new Promise<never>((_, reject) => {
    die = reject;
  });
  death.catch(() => undefined); // nobody may be waiting
  const died = (what: string): void => {
    if (closing) return;
    die(
      new PupilError(
        'browser',
        `browser: ${what} while it was in use`,
        'It may have run out of memory or have been ended from outside. `pupil run … --resume` continues from the last checkpoint.',
      ),
    );
  };
  context.on('close', () => died('the browser ended'));
  const watch = (page: Page): void => {
    page.on('crash', () => died('the page crashed'));
    page.on('close', () => died('the page was closed'));
    page.on('console', (message) => log(message.type(), message.text()));
    page.on('pageerror', (error) => log('error', error.message));
  };

  const browser: LaunchedBrowser = {
    context,
    executablePath,
    flags,
    version: context.browser()?.version() ?? '',
    processId: async () => {
      const main = await processOf(context, 'browser');
      if (main === undefined) throw new PupilError('browser', 'browser: it does not name its main process');
      return main;
    },
    gpuProcessId: () => processOf(context, 'GPU'),
    guard: (work) => Promise.race([work, death]).catch((error: unknown) => preferDeath(error, death)),
    open: async (url) => {
      const page = context.pages().find((open) => open.url() === 'about:blank') ?? (await context.newPage());
      watch(page);
      let status: number | undefined;
      try {
        status = (await browser.guard(page.goto(url, { waitUntil: 'load' })))?.status();
      } catch (error) {
        if (error instanceof PupilError) throw error;
        throw new PupilError('browser', `browser: ${url} could not be opened: ${firstLine(error)}`, undefined, {
          cause: error,
        });
      }
      if (status !== undefined && status >= 400) {
        throw new PupilError('browser', `browser: expected the page at ${url}, got status ${status}`, 'Is it built?');
      }
      return page;
    },
    giveUp: died,
    close: async () => {
      closing = true;
      const closed = context.close().catch(() => undefined); // already gone
      await Promise.race([closed, sleep(options.closeMs ?? CLOSE_MS, undefined, { ref: false })]);
      await endGroups(groups); // what is stopped or hangs is left behind even by a browser that closed
      await removeProfile();
      process.off('exit', atExit);
    },
  };
  return browser;
}

/** The first of the browser's processes of a type. @throws PupilError `browser` where it is gone */
async function processOf(context: BrowserContext, type: string): Promise<number | undefined> {
  const session = await context.browser()?.newBrowserCDPSession();
  if (session === undefined) throw new PupilError('browser', 'browser: expected a running browser, it is gone');
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  return processInfo.find((process) => process.type === type)?.id;
}

/** This process's environment without what is not set: Playwright takes texts only. */
function environment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Playwright's own "target closed" often arrives just before its close event: wait a moment for the better error. */
async function preferDeath(error: unknown, death: Promise<never>): Promise<never> {
  if (error instanceof PupilError || !/closed|crash|disconnected/i.test(String(error))) throw error;
  await Promise.race([death, new Promise((resolve) => setTimeout(resolve, 500))]);
  throw error;
}

function launchError(executablePath: string, userDataDir: string, error: unknown): PupilError {
  const text = error instanceof Error ? error.message : String(error);
  const inUse = /ProcessSingleton|profile.*in use|SingletonLock/i.test(text);
  return new PupilError(
    'browser',
    `browser: ${executablePath} did not start: ${firstLine(error)}`,
    inUse
      ? `Another browser uses the profile ${userDataDir}: end that run first.`
      : 'Start it once by hand to see why; PUPIL_BROWSER chooses another browser.',
    { cause: error },
  );
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
}
