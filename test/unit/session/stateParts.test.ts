// Claims about session/stateParts.ts: a state comes back from its parts bit for bit, and a checkpoint writes what has changed.
import { describe, expect, it } from 'vitest';
import type { CheckpointPart } from '../../../src/formats/trainingCheckpoint';
import type { RunState } from '../../../src/session/runState';
import { StateParts, stateOf } from '../../../src/session/stateParts';
import { state } from './tinyRun';

const byName = (parts: readonly CheckpointPart[]): Map<string, Uint8Array> =>
  new Map(parts.map(({ name, bytes }) => [name, bytes.slice()]));

/** Names of the parts that differ from those of before. */
function changed(before: readonly CheckpointPart[], now: readonly CheckpointPart[]): string[] {
  const old = new Set(before.map(({ sha256 }) => sha256));
  return now.filter(({ sha256 }) => !old.has(sha256)).map(({ name }) => name);
}

const row = (step: number): RunState['metrics'][number] => {
  return { phase: 'instruct', step, totalSteps: 9999, values: { loss: 1 / step } };
};
const answer = (id: number): { ids: number[]; stopped: 'eos' } => ({ ids: [id, id + 1], stopped: 'eos' });

/** A state with everything in it that a state may have. */
function full(): RunState {
  return {
    ...state(),
    metrics: Array.from({ length: 600 }, (_, i) => row(i + 1)),
    predictions: [
      {
        system: 'Baseline',
        taskId: 'C',
        prompt: 'plain',
        predictions: [],
        probed: { letter: [{ sum: 'A', mean: 'A' }] },
      },
      { system: 'Baseline', taskId: 'C', prompt: 'cot', predictions: [] },
    ],
    pending: { job: 'y-hat', answers: Array.from({ length: 100 }, (_, i) => answer(i)) },
    plainAnswers: Array.from({ length: 70 }, (_, i) => answer(i)),
    pairs: { pairs: [], counts: { pairs: 0 } as never, training: [1], validation: [2] },
    tensors: { adapter: Float32Array.of(1, -0, 3e-40), m: new Float32Array(0), instructed: Float32Array.of(NaN) },
  };
}

describe('a run state', () => {
  it.each([
    ['in the middle of phase 1', state],
    ['with everything in it', full],
    [
      'with lists that are there and empty',
      (): RunState => ({ ...state(), plainAnswers: [], pending: { job: 'y', answers: [] } }),
    ],
    ['at the beginning', (): RunState => ({ ...state(), metrics: [], predictions: [], tensors: {} })],
  ])('%s comes back bit for bit, and equal states give equal parts', async (_, make) => {
    const parts = await new StateParts().of(make());
    const back = stateOf(byName(parts), 'r');
    expect(back).toEqual(make());
    if (back.tensors.adapter !== undefined) expect(Object.is(back.tensors.adapter[1], -0)).toBe(true);
    expect(changed(parts, await new StateParts().of(back))).toEqual([]);
  });

  it('a part that is missing is named', async () => {
    const parts = byName(await new StateParts().of(full()));
    for (const name of ['state', 'metrics/1', 'pendingAnswers/1', 'tensors/adapter']) {
      const some = new Map(parts);
      some.delete(name);
      expect(() => stateOf(some, 'r')).toThrow(`part "${name}"`);
    }
  });
});

describe('the next checkpoint', () => {
  it('after a step: the adapter, its moments, the last piece of the metrics, and the state itself', async () => {
    const encoder = new StateParts();
    const run = full();
    const before = await encoder.of(run);
    run.step++;
    run.metrics.push(row(601));
    Object.assign(run.tensors, { adapter: Float32Array.of(2), m: Float32Array.of(3), v: Float32Array.of(4) });
    expect(changed(before, await encoder.of(run)).sort()).toEqual([
      'metrics/2',
      'state',
      'tensors/adapter',
      'tensors/m',
      'tensors/v',
    ]);
  });

  it('does not grow with the steps before it', async () => {
    const newBytes = async (steps: number): Promise<number> => {
      const encoder = new StateParts();
      const run = { ...state(), metrics: Array.from({ length: steps }, (_, i) => row(i + 1)) };
      const before = new Set((await encoder.of(run)).map(({ sha256 }) => sha256));
      run.metrics.push(row(steps + 1));
      const fresh = (await encoder.of(run)).filter(({ sha256 }) => !before.has(sha256));
      return fresh.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    };
    expect(await newBytes(256 * 40)).toBeLessThan(1.5 * (await newBytes(256)));
  });

  it('after a batch of answers: the last piece of them', async () => {
    const encoder = new StateParts();
    const run = full();
    const before = await encoder.of(run);
    run.pending = { job: 'y-hat', answers: [...run.pending!.answers, answer(100), answer(101)] };
    expect(changed(before, await encoder.of(run))).toEqual(['pendingAnswers/1', 'state']);
  });

  it('notices a row that was replaced and a set that gained its probed letters', async () => {
    const encoder = new StateParts();
    const run = full();
    const before = await encoder.of(run);
    run.metrics[3] = row(77);
    run.predictions[1]!.probed = { text: [{ sum: 'B', mean: 'A' }] };
    const parts = await encoder.of(run);
    expect(changed(before, parts)).toEqual(['metrics/0', 'predictions/1']);
    expect(stateOf(byName(parts), 'r')).toEqual(run);
  });

  it('hands unchanged parts out again without making them anew', async () => {
    const encoder = new StateParts();
    const run = full();
    const before = await encoder.of(run);
    const after = await encoder.of(run);
    for (const name of ['metrics/0', 'metrics/2', 'pairs', 'tensors/instructed']) {
      const find = (parts: CheckpointPart[]): CheckpointPart | undefined => parts.find((part) => part.name === name);
      expect(find(after), name).toBe(find(before));
    }
  });
});
