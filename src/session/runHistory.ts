// runHistory.ts: what a run's checkpoint remembers of what it told its listener: of one that is resumed, and of one that only is
// looked at. It reads; it changes nothing.
import type { Experiment } from '../config/experiment';
import type { RunStore } from '../storage/runStore';
import type { Prepared } from './prepare';
import { linesOf } from './jsonLines';
import type { HistoryEvent, RunHistory } from './liveProtocol';
import { phasesOf, type RunState } from './runState';
import { shownDemonstrations, shownPairs } from './shown';
import { stateOf } from './stateParts';

/** What a listener of a resumed run has not heard: its checkpoint's curves, rows, counts and log. */
export function historyOf(state: RunState, experiment: Pick<Experiment, 'phases'>): HistoryEvent {
  const { metrics, evaluations, pairs, log } = state;
  // A copy: the state goes on changing under a listener in the same process.
  const phases = phasesOf(experiment);
  return structuredClone({
    type: 'history' as const,
    finished: phases.slice(0, phases.indexOf(state.phase)),
    metrics,
    evaluations,
    ...(pairs === undefined ? {} : { pairs: { ...pairs.counts } }),
    log,
  });
}

/** Of the newest intact checkpoint; undefined where there is none at all. Throws `checkpoint` where all are damaged. */
export async function storedHistory(store: RunStore, runId: string): Promise<RunHistory | undefined> {
  const stored = await store.loadCheckpoint(runId);
  if (stored === undefined) return undefined;
  const state = stateOf(stored.parts, runId);
  const { experiment, phase, step } = state;
  const demonstrations = linesOf(await store.loadArtefact(runId, 'demonstrations.jsonl')) as Prepared['demonstrations'];
  return {
    experiment,
    phase,
    step,
    history: historyOf(state, experiment as unknown as Pick<Experiment, 'phases'>),
    shown: [...shownDemonstrations({ demonstrations }), ...shownPairs(state.pairs?.pairs ?? [])],
  };
}
