// shortRun.ts: a run of seconds in the Lab of the built page, which is disturbed, and what it must end with all the same: every
// number that it learned and every text that it wrote. Tests only; what is asserted is theirs.
import type { CDPSession, Page } from 'playwright-core';
import { encodeChanges } from '../../src/app/state/changesLink';
import { INSTRUCT, inPhase, mainButton, ready, RUN_MS } from './labPlace';
import type { Visit } from './openPage';

/** Of the preset `smoke`: no baselines, more steps to be disturbed in, few answers. */
const CHANGES = {
  'phases.baseline': false,
  'phases.instruct.epochs': 5,
  'phases.selfRefine.maxSteps': 4,
  'phases.selfRefine.sampling.maxNewTokens': 32,
  'evaluation.prompts': ['cot'],
  'evaluation.probing': false,
  'evaluation.maxNewTokens': 16,
};

/** Opens the Lab with the short experiment, changed further, and begins the run, which is held in a phase where one is named. */
export async function startChanged(
  { page, address }: Visit,
  changes: Record<string, unknown>,
  heldIn?: string,
): Promise<void> {
  const packed = await encodeChanges({ ...CHANGES, ...changes });
  await page.goto(`${address}?place=lab&experiment=smoke&changes=${packed}`);
  await ready(page);
  await holdIn(page, heldIn);
  await mainButton(page, 'Run').click();
}

/**
 * The page itself pauses its run as soon as it shows this phase. A test that looks for a phase from outside comes too late
 * where the machine is busy: the run is past it.
 */
export async function holdIn(page: Page, label: string | undefined): Promise<void> {
  if (label === undefined) return;
  await page.evaluate((label) => {
    const look = (): void => {
      if (document.querySelector('.phases li.current')?.textContent?.includes(label) !== true) return;
      const buttons = [...document.querySelectorAll<HTMLButtonElement>('[aria-label="Run controls"] button')];
      const pause = buttons.find((button) => button.textContent?.trim() === 'Pause' && !button.disabled);
      if (pause === undefined || pause.getAttribute('aria-disabled') === 'true') return;
      observer.disconnect();
      pause.click();
    };
    const observer = new MutationObserver(look);
    observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    look();
  }, label);
}

/** Waits until the run is held in this phase. */
export async function heldIn(page: Page, label: string): Promise<void> {
  await mainButton(page, 'Resume').waitFor({ timeout: RUN_MS });
  await inPhase(page, label, 5_000);
}

/** Begins the short run; resolves when it learns. */
export async function startShort(visit: Visit): Promise<void> {
  await startChanged(visit, {});
  await inPhase(visit.page, INSTRUCT);
}

/** How the run that goes on in this page ended, with what it says of a failure; a run that finished says nothing. */
export async function ended(page: Page, timeout = 400_000): Promise<string> {
  const panel = page.getByRole('region', { name: /^Run/ });
  await panel.getByText(/^(failed|finished|stopped)$/).waitFor({ timeout });
  return (await panel.locator('[role=alert]').allInnerTexts()).join('\n');
}

/** The button that goes on with a run that failed. */
export const wayOn = (page: Page): ReturnType<Page['locator']> => page.locator('.way button.primary');

interface Artefacts {
  call(method: string, args: unknown[]): Promise<{ value: unknown }>;
}

/**
 * What the newest run of this browser has to show: digests of its adapters, its pairs and answers, and its curves without times.
 * The same for two runs that computed the same.
 */
export function outcomeOf(page: Page): Promise<Record<string, string>> {
  return page.evaluate(async () => {
    const { pupil } = globalThis as unknown as { pupil: Artefacts };
    const ask = async <T>(method: string, ...args: unknown[]): Promise<T> =>
      (await pupil.call(method, args)).value as T;
    const runs = await ask<{ runId: string; state: string; updatedAt: string }[]>('listRuns');
    const newest = runs.sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1))[0]!;
    const bytesOf = (path: string): Promise<Uint8Array<ArrayBuffer>> => ask('artefact', newest.runId, path);
    const outcome: Record<string, string> = { state: newest.state };
    for (const path of await ask<string[]>('listArtefacts', newest.runId)) {
      if (!/safetensors$|^(pairs|predictions)\.jsonl$/.test(path)) continue;
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await bytesOf(path)));
      outcome[path] = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    }
    const lines = new TextDecoder()
      .decode(await bytesOf('metrics.jsonl'))
      .trim()
      .split('\n');
    outcome['curves'] = lines
      .map((line) => {
        const { tokens_per_second: _, gpu_bytes: __, ...row } = JSON.parse(line) as Record<string, unknown>;
        return JSON.stringify(row);
      })
      .join('\n');
    return outcome;
  });
}

/**
 * Leaves this page no room to store anything more, and lifts that again: the browser's own quota. Chromium lets a database write on
 * what it had for up to half a minute, in which a short run ends: resolves when a write was really refused. The run should
 * be held meanwhile.
 */
export async function limitStorage({ context, address }: Visit, page: Page): Promise<() => Promise<void>> {
  const browser = await context.newCDPSession(page);
  const origin = address.replace(/\/$/, '');
  await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1 });
  await page.evaluate(async () => {
    const asked = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error!);
      });
    const opening = indexedDB.open('room');
    opening.onupgradeneeded = () => opening.result.createObjectStore('room');
    const database = await asked(opening);
    const refused = (): Promise<boolean> =>
      new Promise((resolve) => {
        const writing = database.transaction('room', 'readwrite');
        writing.objectStore('room').put(new Uint8Array(1024), 'piece');
        writing.oncomplete = () => resolve(false);
        writing.onabort = () => resolve(true);
      });
    while (!(await refused())) await new Promise((resolve) => setTimeout(resolve, 500));
    database.close();
  });
  return async () => {
    await browser.send('Storage.overrideQuotaForOrigin', { origin });
    await browser.detach();
  };
}

/** Ends the process that computes for the GPU, as a driver's reset does; the browser starts another. */
export async function crashGpu({ context }: Visit): Promise<void> {
  const browser = (await context.browser()!.newBrowserCDPSession()) as CDPSession;
  await browser.send('Browser.crashGpuProcess');
  await browser.detach();
}

/** Ends the page's own process, as a browser does that is short of memory. */
export async function crashPage({ context }: Visit, page: Page): Promise<void> {
  const crashed = page.waitForEvent('crash');
  const browser = await context.newCDPSession(page);
  void browser.send('Page.crash').catch(() => undefined); // nobody is left to answer
  await crashed;
}

/**
 * Puts another page before this one, holds this one still for a time, as browsers do with pages out of sight, and brings it back.
 * Its visit must be one that `mayBeHidden`.
 * @returns how often the page was told of it
 */
export async function freeze({ context }: Visit, page: Page, ms: number): Promise<number> {
  await page.evaluate(() => {
    const told = { times: 0 };
    Object.assign(globalThis, { frozen: told });
    document.addEventListener('freeze', () => told.times++);
  });
  const other = await context.newPage();
  await other.bringToFront();
  const browser = await context.newCDPSession(page);
  await browser.send('Page.setWebLifecycleState', { state: 'frozen' });
  await new Promise((resolve) => setTimeout(resolve, ms));
  await browser.send('Page.setWebLifecycleState', { state: 'active' });
  await browser.detach();
  await page.bringToFront();
  await other.close();
  return page.evaluate(() => (globalThis as unknown as { frozen: { times: number } }).frozen.times);
}
