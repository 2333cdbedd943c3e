// stateParts.ts: a run's state as the parts of a checkpoint, and back. What changes with every step is apart from what only
// grows (metrics, answers, predictions: in pieces, of which only the last changes) and from what is made once (pairs, the
// parameters of a finished phase), so that a checkpoint costs what has happened since the last one. Order and safety of the
// writes are storage/checkpoints.ts.
import { PupilError } from '../base/errors';
import { arrayPart, jsonPart, readArrayPart, readJsonPart, type CheckpointPart } from '../formats/trainingCheckpoint';
import type { RunState, RunTensors } from './runState';

/** The parts of the state that lie in lists, and how many entries a part holds. */
export const LISTS = { metrics: 256, predictions: 1, votes: 1, pendingAnswers: 64, plainAnswers: 64 } as const;
/** The arrays of numbers that a state may have. */
export const TENSORS = [
  'adapter',
  'm',
  'v',
  'instructed',
  'control',
  'best',
  'refined',
  'reference',
] as const satisfies readonly (keyof RunTensors)[];
type ListName = keyof typeof LISTS;

/** The part that says which others there are. */
interface StatePart {
  /** Everything that is in no part of its own. */
  state: Record<string, unknown>;
  /** Entries of each list; absent where the state has no such list. */
  lists: Partial<Record<ListName, number>>;
  tensors: string[];
}

/** Taken apart: the lists, the tensors, the pairs, and the rest. */
function takeApart({ tensors, metrics, predictions, votes, plainAnswers, pairs, pending, ...rest }: RunState) {
  const lists: Partial<Record<ListName, readonly unknown[]>> = {
    metrics,
    predictions,
    ...(votes === undefined ? {} : { votes }),
    ...(pending === undefined ? {} : { pendingAnswers: pending.answers }),
    ...(plainAnswers === undefined ? {} : { plainAnswers }),
  };
  return { lists, tensors, pairs, state: { ...rest, ...(pending === undefined ? {} : { pendingJob: pending.job }) } };
}

/**
 * Makes a state's parts. A part whose entries are the same objects as the last time is handed out again: entries and arrays
 * of the state are replaced, never written to. (A set of predictions may gain its probed letters; that is looked at.)
 */
export class StateParts {
  private last = new Map<string, { from: readonly unknown[]; part: CheckpointPart }>();

  /** Equal states give equal parts. */
  async of(run: RunState): Promise<CheckpointPart[]> {
    const now = new Map<string, { from: readonly unknown[]; part: CheckpointPart }>();
    const parts: CheckpointPart[] = [];
    const add = async (name: string, from: readonly unknown[], make: () => Promise<CheckpointPart>): Promise<void> => {
      const known = this.last.get(name);
      const same = known?.from.length === from.length && known.from.every((value, i) => value === from[i]);
      const entry = same ? known : { from, part: await make() };
      now.set(name, entry);
      parts.push(entry.part);
    };
    const { lists, tensors, pairs, state } = takeApart(run);
    const index: StatePart = { state, lists: {}, tensors: [] };
    for (const [list, entries] of Object.entries(lists) as [ListName, readonly unknown[]][]) {
      index.lists[list] = entries.length;
      for (let at = 0; at < entries.length; at += LISTS[list]) {
        const piece = entries.slice(at, at + LISTS[list]);
        const name = `${list}/${at / LISTS[list]}`;
        const identity = list === 'predictions' ? piece.flatMap((set) => Object.values(set as object)) : piece;
        await add(name, identity, () => jsonPart(name, piece));
      }
    }
    if (pairs !== undefined) await add('pairs', [pairs], () => jsonPart('pairs', pairs));
    for (const [tensor, data] of Object.entries(tensors) as [string, Float32Array | undefined][]) {
      if (data === undefined) continue;
      index.tensors.push(tensor);
      await add(`tensors/${tensor}`, [data], () => arrayPart(`tensors/${tensor}`, data));
    }
    parts.push(await jsonPart('state', index));
    this.last = now;
    return parts;
  }
}

/** @throws PupilError `format` or `checkpoint` where the parts are not a run's state. */
export function stateOf(parts: ReadonlyMap<string, Uint8Array>, runId: string): RunState {
  const label = (name: string): string => `checkpoint of ${runId}, part "${name}"`;
  const bytesOf = (name: string): Uint8Array => {
    const bytes = parts.get(name);
    if (bytes !== undefined) return bytes;
    throw new PupilError('checkpoint', `${label(name)}: expected the state of a run, that part is not there`);
  };
  const json = (name: string): unknown => readJsonPart(bytesOf(name), label(name));
  const { state, lists, tensors } = json('state') as StatePart;
  const listOf = (list: ListName): unknown[] | undefined => {
    const entries = lists[list];
    if (entries === undefined) return undefined;
    const pieces = Array.from({ length: Math.ceil(entries / LISTS[list]) }, (_, i) => json(`${list}/${i}`));
    return (pieces as unknown[][]).flat();
  };
  const { pendingJob, ...rest } = state;
  const [metrics, predictions] = [listOf('metrics'), listOf('predictions')];
  if (metrics === undefined || predictions === undefined || typeof rest['phase'] !== 'string') {
    throw new PupilError('checkpoint', `${label('state')}: expected the state of a run, it holds something else`);
  }
  const [votes, answers, plainAnswers] = [listOf('votes'), listOf('pendingAnswers'), listOf('plainAnswers')];
  return {
    ...rest,
    metrics,
    predictions,
    ...(votes === undefined ? {} : { votes }),
    ...(answers === undefined ? {} : { pending: { job: pendingJob, answers } }),
    ...(plainAnswers === undefined ? {} : { plainAnswers }),
    ...(parts.has('pairs') ? { pairs: json('pairs') } : {}),
    tensors: Object.fromEntries(
      tensors.map((name) => [name, readArrayPart(bytesOf(`tensors/${name}`), label(`tensors/${name}`))]),
    ) as RunTensors,
  } as unknown as RunState;
}
