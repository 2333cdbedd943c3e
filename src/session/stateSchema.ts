// stateSchema.ts: the state of a run out of a checkpoint that was made elsewhere, checked before anything of it is stored: a resumed
// run draws its report from these numbers. That its bytes are what its commit says is storage/checkpoints.ts's; this file only
// refuses.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { parseExperiment } from '../config/experiment';
import { readJsonPart } from '../formats/trainingCheckpoint';
import {
  count,
  counts,
  EnvironmentSchema,
  EvaluationSchema,
  KeptSchema,
  LogSchema,
  MetricsSchema,
  notAsExpected,
  number,
  optional,
  PairSchema,
  prompt,
  StudentSchema,
  system,
  text,
  time,
  TimingsSchema,
} from './reportSchema';
import { PHASES, type RunState } from './runState';
import { LISTS, stateOf, TENSORS } from './stateParts';

/** Entries of one list of a state; a run has thousands. */
const MOST_ENTRIES = 10_000_000;
const entries = v.pipe(count, v.maxValue(MOST_ENTRIES));

/** The part that names the others: it is believed only so far. */
const IndexSchema = v.object({
  state: v.looseObject({}),
  lists: v.record(v.picklist(Object.keys(LISTS)), entries),
  tensors: v.array(v.picklist(TENSORS)),
});

const stopped = v.picklist(['eos', 'length']);
const GenerationsSchema = v.array(v.looseObject({ ids: v.array(count), stopped }));

const StateSchema = v.looseObject({
  startedAt: time,
  experiment: v.looseObject({ seed: count }),
  environment: EnvironmentSchema,
  student: StudentSchema,
  data: text,
  phase: v.picklist(PHASES),
  step: count,
  sequence: count,
  savedAt: optional(time),
  metrics: MetricsSchema,
  evaluations: v.array(EvaluationSchema),
  predictions: v.array(
    v.looseObject({
      system,
      taskId: text,
      prompt,
      predictions: v.array(
        v.looseObject({ itemId: text, text, stopped, target: text, correct: v.record(text, v.boolean()) }),
      ),
    }),
  ),
  votes: optional(
    v.array(
      v.looseObject({
        system,
        taskId: text,
        predictions: v.array(
          v.looseObject({
            itemId: text,
            texts: v.array(text),
            stopped: v.array(stopped),
            target: text,
            correct: v.boolean(),
            votes: count,
            answered: count,
            samples: count,
          }),
        ),
      }),
    ),
  ),
  pending: optional(v.object({ job: text, answers: GenerationsSchema })),
  plainAnswers: optional(GenerationsSchema),
  pairs: optional(
    v.object({ pairs: v.array(PairSchema), counts, training: v.array(count), validation: v.array(count) }),
  ),
  best: optional(KeptSchema),
  kept: optional(v.object({ ...KeptSchema.entries, rule: text })),
  timings: TimingsSchema,
  checkpointBytes: number,
  adapterFileBytes: number,
  gpuPeak: number,
  log: LogSchema,
});

/**
 * The state that the parts of a checkpoint hold.
 * @throws PupilError `format`, `checkpoint`, `data` or `config` naming what is not as a run writes it
 */
export function readState(parts: ReadonlyMap<string, Uint8Array>, runId: string, label: string): RunState {
  const bytes = parts.get('state');
  if (bytes === undefined) {
    throw new PupilError('checkpoint', `${label}: expected the state of a run, it has no part of that name`);
  }
  const index = v.safeParse(IndexSchema, readJsonPart(bytes, label));
  if (!index.success) throw notAsExpected(label, index.issues);
  const state = stateOf(parts, runId);
  const parsed = v.safeParse(StateSchema, state);
  if (!parsed.success) throw notAsExpected(label, parsed.issues);
  parseExperiment(state.experiment);
  return state;
}
