// pinnedBrowser.ts: the browser of one card: a program that starts it inside the sandbox, checked before anything is
// started in it, and asked afterwards on which card it works. What the sandbox is, cards.ts says.
import { chmodSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../scripts/browser.mjs';
import { PupilError } from '../base/errors';
import type { LaunchedBrowser } from './browser';
import {
  cardMounts,
  cardOf,
  cardsInUse,
  cardText,
  driverParameters,
  expectOnly,
  expectSandbox,
  sandboxArguments,
  wrapperScript,
  type Card,
  type Mount,
} from './cards';
import type { Machine } from './machine';

export interface PinnedBrowser {
  readonly card: Card;
  /** To be started in place of the browser, with the browser's flags. */
  readonly executablePath: string;
  /**
   * The card in words, and whether nvidia-smi names this browser on it.
   * @throws PupilError `browser` where it works on another card.
   */
  confirm(browser: Pick<LaunchedBrowser, 'gpuProcessId'>): Promise<string>;
  /** Removes the program. */
  close(): void;
}

/** A program that starts `executable` where these mounts are all of /dev, in a folder of its own. */
export function sandboxed(
  machine: Machine,
  card: Card,
  mounts: readonly Mount[],
  executable: string,
): Pick<PinnedBrowser, 'executablePath' | 'close'> {
  // Beside Pupil's caches: what lies in /tmp may not be started on some servers.
  const base = join(cacheFolder(), 'cards');
  mkdirSync(base, { recursive: true });
  const folder = mkdtempSync(join(base, `card${card.index}-`));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove); // a signal ends this process without closing anything
  const close = (): void => {
    process.off('exit', remove);
    remove();
  };
  try {
    const parameters = driverParameters(machine);
    const params = join(folder, 'params');
    if (parameters !== undefined) writeFileSync(params, parameters);
    const root = machine.uid === 0;
    const sandbox = sandboxArguments(mounts, { root, ...(parameters === undefined ? {} : { params }) });
    expectOnly(machine, sandbox, card);
    const executablePath = join(folder, 'browser');
    writeFileSync(executablePath, wrapperScript(sandbox, executable));
    chmodSync(executablePath, 0o755);
    return { executablePath, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** @throws PupilError `usage` for a card that is not there, `browser` where the others cannot be hidden. */
export function pinBrowser(machine: Machine, index: number, executable: string): PinnedBrowser {
  const card = cardOf(machine, index);
  expectSandbox(machine, card);
  const program = sandboxed(machine, card, cardMounts(machine, card), executable);
  return {
    card,
    ...program,
    confirm: async (browser) => {
      const processId = await browser.gpuProcessId();
      return confirmCard(machine, card, processId === undefined ? [] : [processId]);
    },
  };
}

/** What {@link PinnedBrowser.confirm} says of a card and the processes of its browser. @throws PupilError `browser` */
export function confirmCard(machine: Machine, card: Card, processIds: readonly number[]): string {
  const used = cardsInUse(machine, processIds);
  const only = `${cardText(card)}; the only one that the browser sees`;
  if (used === undefined) return `${only} (nvidia-smi tells nothing of this browser's process)`;
  if (card.pci === undefined || (used.length === 1 && used[0] === card.pci)) return `${only}; confirmed by nvidia-smi`;
  throw new PupilError(
    'browser',
    `--gpus: expected the browser to work on ${cardText(card)}, nvidia-smi finds it on ${used.join(', ')}`,
    'Start one container a card instead; see docs/full-runs.md.',
  );
}
