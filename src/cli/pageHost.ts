// pageHost.ts: the session in headless Chrome on the built page. Files reach it, and come back, through the file server;
// calls and events go through window.pupil. What the page does with them is the page's business.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { fromAnswer, type Answer } from '../base/answer';
import { PupilError } from '../base/errors';
import type { HeartbeatLimits } from '../base/heartbeat';
import type { SessionApi } from '../session/protocol';
import { hardwareDriver } from '../../scripts/vulkan.mjs';
import { browserExecutable, launchBrowser, type LaunchedBrowser, type LaunchOptions } from './browser';
import { firstThatServes, waysFor, type Way } from './browserWays';
import { openDisplay } from './display';
import { startFileServer, type FileServer } from './fileServer';
import type { Host, HostOptions } from './host';
import { thisMachine } from './machine';
import { PAGE_LIFE, PageLife } from './pageLife';
import { pinBrowser, type PinnedBrowser } from './pinnedBrowser';
import { takeProfile } from './profile';
import { pageFolder } from './project';

type Listener = (event: unknown) => void;

/** The page's side; see app/automation.ts. */
interface PupilWindow {
  pupil?: { call(method: string, args: unknown[], listener?: string): Promise<Answer<unknown>> };
}

/** The port of an earlier run in this folder, or any: the same origin finds the same IndexedDB. */
function rememberedPort(file: string | undefined): number {
  if (file === undefined || !existsSync(file)) return 0;
  const port = Number(readFileSync(file, 'utf8').trim());
  return Number.isInteger(port) && port > 0 && port < 65536 ? port : 0;
}

/** Opens the page in a browser started in one way. */
async function openPage(
  server: FileServer,
  way: Way,
  launch: Omit<LaunchOptions, 'gpu'>,
  answerMs: number | undefined,
): Promise<{ browser: LaunchedBrowser; session: SessionApi }> {
  const { gpu, extraFlags = [] } = way;
  const display = way.headed === true ? await openDisplay() : undefined;
  let browser: LaunchedBrowser;
  try {
    const shown = display === undefined ? {} : { display: display.name };
    const launched = await launchBrowser({ ...launch, gpu, extraFlags, ...shown });
    const close = (): Promise<void> => launched.close().finally(() => display?.close());
    browser = { ...launched, close };
  } catch (error) {
    display?.close();
    throw error;
  }
  try {
    const page = await browser.open(`${server.pageUrl}?automation`);
    await waitForPort(browser, page);
    return { browser, session: await sessionOf(browser, page, answerMs) };
  } catch (error) {
    await browser.close();
    throw error;
  }
}

/** Waits until the page's script has put window.pupil there. */
async function waitForPort(browser: LaunchedBrowser, page: Page): Promise<void> {
  try {
    await browser.guard(
      page.waitForFunction(() => (globalThis as unknown as PupilWindow).pupil !== undefined, undefined, {
        timeout: 30_000,
      }),
    );
  } catch (error) {
    if (error instanceof PupilError) throw error;
    throw new PupilError(
      'browser',
      'page: expected window.pupil within 30 s, the page did not start',
      'Rebuild it: npm run build.',
      { cause: error },
    );
  }
}

const NO_SESSION_CALLS = new Set(['pause', 'resume', 'step', 'stop']);

/** The page's session as this side's: calls become messages, events come back in order. */
async function sessionOf(browser: LaunchedBrowser, page: Page, answerMs?: number): Promise<SessionApi> {
  const listeners = new Map<string, Listener>();
  const limits: HeartbeatLimits =
    answerMs === undefined ? PAGE_LIFE : { everyMs: answerMs / 10, silentMs: answerMs, deadMs: answerMs };
  const life = new PageLife(
    () => page.evaluate(() => 0),
    (seconds) => browser.giveUp(`the page has not answered for ${seconds} s`),
    limits,
  );
  await page.exposeFunction('pupilCommandLineEvents', (id: string, events: unknown[]) => {
    for (const event of events) listeners.get(id)?.(event);
  });
  let calls = 0;

  const call = async (method: string, args: unknown[]): Promise<unknown> => {
    const last = args.at(-1);
    const listener = typeof last === 'function' ? (last as Listener) : undefined;
    const id = `pupilListener${++calls}`;
    if (listener !== undefined) listeners.set(id, listener);
    try {
      const answer = await life.during(
        browser.guard(
          page.evaluate(
            async ({ method, args, id, listens }) => {
              const scope = globalThis as unknown as PupilWindow & Record<string, unknown>;
              const port = scope.pupil;
              if (port === undefined) throw new Error('window.pupil is gone');
              if (!listens) return await port.call(method, args);
              const hand = scope['pupilCommandLineEvents'] as (id: string, events: unknown[]) => Promise<void>;
              scope[id] = (events: unknown[]) => hand(id, events);
              try {
                return await port.call(method, args, id);
              } finally {
                delete scope[id];
              }
            },
            { method, args: listener === undefined ? args : args.slice(0, -1), id, listens: listener !== undefined },
          ),
        ),
      );
      return fromAnswer(answer);
    } finally {
      listeners.delete(id);
    }
  };
  return new Proxy({} as SessionApi, {
    get: (_, name) =>
      // A proxy that answers to `then` would be taken for a promise.
      typeof name !== 'string' || name === 'then'
        ? undefined
        : (...args: unknown[]) => call(name, withoutTail(args, name)),
  });
}

/** Control calls take no arguments; whatever an event handler passed along stays here. */
function withoutTail(args: unknown[], name: string): unknown[] {
  return NO_SESSION_CALLS.has(name) ? [] : args;
}

/** A file server on the port of an earlier run; on any where that is taken: checkpoints are found in the folder then. */
async function serveOn(page: string, portFile: string | undefined, note: (text: string) => void): Promise<FileServer> {
  const port = rememberedPort(portFile);
  try {
    return await startFileServer({ page, port });
  } catch (error) {
    if (port === 0) throw error;
    note(`browser: port ${port} of the earlier run is taken; its checkpoints are read from the folder`);
    return startFileServer({ page });
  }
}

/** Starts file server and browser and opens the page. With `keepIn`, profile and port live in that folder. */
export async function openPageHost(options: HostOptions): Promise<Host> {
  const { keepIn, note } = options;
  const page = pageFolder();
  const machine = thisMachine();
  const found = await browserExecutable(note);
  const profile = keepIn === undefined ? undefined : resolve(keepIn, '.profile');
  const portFile = keepIn === undefined ? undefined : join(keepIn, '.port');
  const giveBack = keepIn === undefined ? () => undefined : await takeProfile(resolve(keepIn), note);
  let server: FileServer | undefined;
  let pinned: PinnedBrowser | undefined;
  const end = async (): Promise<void> => {
    await server?.close();
    pinned?.close();
    giveBack();
  };
  try {
    if (options.card !== undefined) pinned = pinBrowser(machine, options.card, found);
    const files = (server = await serveOn(page, portFile, note));
    if (portFile !== undefined) writeFileSync(portFile, `${files.port}\n`);
    const launch = {
      executablePath: pinned?.executablePath ?? found,
      env: hardwareDriver(),
      ...(profile === undefined ? {} : { userDataDir: profile }),
      ...(options.patience === undefined ? {} : { closeMs: options.patience.closeMs }),
      onLog: (level: string, text: string) => {
        if (level === 'error') note(`browser: ${text}`);
      },
    };
    const { opened, tried } = await firstThatServes(
      waysFor(options.gpu, machine),
      (way) => openPage(files, way, launch, options.patience?.answerMs),
      note,
    );
    const { browser, session } = opened;
    let card: string | undefined;
    try {
      card = await pinned?.confirm(browser);
    } catch (error) {
      await browser.close();
      throw error;
    }
    return {
      session,
      about: {
        browser: found,
        version: browser.version,
        flags: browser.flags.join(' '),
        ...(card === undefined ? {} : { card }),
      },
      tried,
      reads: (paths) => ({ kind: 'http', base: files.shareTree(paths, []) }),
      writes: (paths) => ({ kind: 'http', base: files.shareTree([], paths) }),
      folder: (path) => ({ kind: 'http', base: files.shareOutput(path) }),
      own: (path) => ({ kind: 'http', base: files.shareOwn(path) }),
      close: async () => {
        await browser.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
