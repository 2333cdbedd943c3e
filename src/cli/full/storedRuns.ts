// storedRuns.ts: what a session's own storage keeps of runs (the browser's, in the profile of a slot, through which all jobs
// of weeks go), and its removal once it is of no use: everything of a run is in its folder as well. The folder is never
// touched here.
import { setTimeout as sleep } from 'node:timers/promises';
import { PupilError } from '../../base/errors';
import type { Output } from '../output';
import type { SessionPlace } from './sessionPlace';

/** A browser that does not answer is the next run's to find out. */
const ANSWER_MS = 120_000;

/**
 * Deletes all runs but those that are still needed there, and the profile that an ill browser left aside. Fails nothing:
 * what could not be deleted is told, and deleted the next time.
 *
 * @param isNeeded by the run's id; without a folder that holds all of it, a run is needed
 */
export async function forgetRuns(
  place: SessionPlace,
  output: Output,
  isNeeded: (runId: string) => boolean,
): Promise<void> {
  const forget = async (): Promise<void> => {
    const { session } = await place.open();
    for (const { runId } of await session.listRuns()) if (!isNeeded(runId)) await session.deleteRun(runId);
    place.forgetSetAside();
  };
  const late = new AbortController();
  try {
    await Promise.race([
      forget(),
      sleep(ANSWER_MS, undefined, { signal: late.signal, ref: false }).then(() => {
        throw new PupilError('hung', 'the session did not answer');
      }),
    ]);
  } catch (error) {
    if (!(error instanceof PupilError)) throw error;
    output.note(`not cleared: ${error.message}`);
  } finally {
    late.abort();
  }
}
