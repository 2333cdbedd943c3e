// Pairs of a run token by token, over the real session on Dawn: the numbers are the run's own (its reference, its validation
// metrics) and those of `inspect dpo`, which takes another way to them; and every way in which it may not begin or not end.
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { memorySource } from '../../../src/formats/byteSource';
import { readSafetensorsHeader, tensorReader } from '../../../src/formats/safetensors';
import { nodeGpu } from '../../../src/gpu/node';
import type { PairTokensEvent, PairTokensSummary, RunSummary, ScoredPair } from '../../../src/session/protocol';
import type { RunReport } from '../../../src/report/types';
import { Session } from '../../../src/session/session';
import { stateOf } from '../../../src/session/stateParts';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

/** The golden tolerance of log-probabilities in the f32 tier. */
const NATS = 1e-3;

interface PairLine {
  prompt: { ids: number[] };
  chosen: { ids: number[]; text: string };
  rejected: { ids: number[]; text: string };
  split: string;
}

const store = new MemoryRunStore();
const files = { kind: 'memory' as const, files: tinyFiles() };
let session: Session;
let summary: RunSummary;
/** As the run scored its pairs before the first step of phase 2. */
let reference: Float32Array | undefined;
let lines: PairLine[];

/** As little as may be besides the pairs. */
const phases = { ...(tinyExperiment() as { phases: { selfRefine: object } }).phases, baseline: false };
const withoutTests = { phases, evaluation: { prompts: ['cot'], maxNewTokens: 2, batchSize: 5, limit: 1 } };
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

async function run(runId: string, changes: Record<string, unknown> = {}): Promise<RunSummary> {
  const experiment = tinyExperiment({ ...withoutTests, ...changes });
  return session.run({ runId, experiment, files }, () => undefined);
}

async function measure(
  pairs: readonly number[],
  more: { runId?: string; changes?: Record<string, unknown>; onEvent?: (event: PairTokensEvent) => void } = {},
): Promise<{ scored: ScoredPair[]; summary: PairTokensSummary; events: PairTokensEvent[] }> {
  const events: PairTokensEvent[] = [];
  const done = await session.pairTokens(
    { runId: more.runId ?? 'tiny', experiment: tinyExperiment({ ...withoutTests, ...more.changes }), files, pairs },
    (event) => {
      events.push(event);
      more.onEvent?.(event);
    },
  );
  const scored = events.flatMap((event) => (event.type === 'pair' ? [event.pair] : []));
  return { scored, summary: done, events };
}

const all = (): number[] => lines.map((_, i) => i);
let whole: ReturnType<typeof measure> | undefined;
const measuredAll = (): ReturnType<typeof measure> => (whole ??= measure(all()));

beforeAll(async () => {
  // Keeps the reference of a checkpoint within phase 2: the last one has dropped it.
  const save = store.saveCheckpoint.bind(store);
  store.saveCheckpoint = async (record, parts) => {
    await save(record, parts);
    if (record.phase !== 'self-refine' || record.runId !== 'tiny') return;
    reference = stateOf((await store.loadCheckpoint('tiny'))!.parts, 'tiny').tensors.reference ?? reference;
  };
  session = new Session(await nodeGpu(), store);
  await session.open({ tier: 'f32' });
  summary = await run('tiny');
  lines = text(await store.loadArtefact('tiny', 'pairs.jsonl'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PairLine);
});

describe('pairTokens', () => {
  it('gives every token of both answers, in order, as it reads', async () => {
    const { scored, summary: told, events } = await measuredAll();
    expect(told).toEqual({
      pairs: lines.length,
      policy: true,
      loss: 'sigmoid',
      beta: 0.1,
      labelSmoothing: 0,
      over: 'sums',
      tier: 'f32',
    });
    expect(scored.map(({ index }) => index)).toEqual(all());
    for (const [i, pair] of scored.entries()) {
      for (const side of ['chosen', 'rejected'] as const) {
        expect(pair[side].tokens.map(({ id }) => id)).toEqual(lines[i]![side].ids);
        // The end of text has a text of its own; before it the tokens spell the answer.
        const spelt = pair[side].tokens.filter(({ id }) => id !== 2).map((token) => token.text);
        expect(spelt.join('').trim()).toBe(lines[i]![side].text);
      }
    }
    const last = events.at(-1)!;
    expect(last).toEqual({
      type: 'progress',
      progress: { task: 'pairs', done: lines.length, total: lines.length, unit: 'pairs' },
    });
  });

  it('Σ log π_ref is the reference that the run trained against', async () => {
    const { scored } = await measuredAll();
    expect(reference).toHaveLength(2 * lines.length);
    for (const [i, { chosen, rejected }] of scored.entries()) {
      expect(Math.abs(chosen.reference - reference![2 * i]!), `chosen ${i}`).toBeLessThan(NATS);
      expect(Math.abs(rejected.reference - reference![2 * i + 1]!), `rejected ${i}`).toBeLessThan(NATS);
    }
  });

  it('Σ log π, margins and losses of the held-out pairs are the validation metrics of the kept step', async () => {
    const { scored } = await measuredAll();
    const rows = text(await store.loadArtefact('tiny', 'metrics.jsonl'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, number> & { phase: string });
    const { kept } = summary.report as RunReport;
    const row = rows.find(({ phase, step }) => phase === 'self-refine' && step === kept!.step)!;
    const held = scored.filter((_, i) => lines[i]!.split === 'validation');
    const mean = (of: (pair: ScoredPair) => number): number =>
      held.reduce((sum, pair) => sum + of(pair), 0) / held.length;
    expect(held.length).toBeGreaterThan(1);
    expect(Math.abs(mean(({ chosen }) => chosen.policy!) - row['eval_logps/chosen']!)).toBeLessThan(NATS);
    expect(Math.abs(mean(({ rejected }) => rejected.policy!) - row['eval_logps/rejected']!)).toBeLessThan(NATS);
    expect(Math.abs(mean(({ outcome }) => outcome!.margin) - row['eval_rewards/margins']!)).toBeLessThan(NATS);
    expect(Math.abs(mean(({ outcome }) => outcome!.loss) - row['eval_loss']!)).toBeLessThan(1e-4);
    expect(Math.abs(row['eval_rewards/margins']!)).toBeGreaterThan(10 * NATS); // the run has moved something
  });

  it('agrees with inspect dpo, which takes another way, whichever pairs are asked for', async () => {
    const { scored } = await measure([3, 0, 5]);
    expect(scored.map(({ index }) => index)).toEqual([3, 0, 5]);
    const out: Record<string, Uint8Array> = {};
    const given: Record<string, Uint8Array> = { ...files.files };
    for (const path of await store.listArtefacts('tiny')) given[path] = (await store.loadArtefact('tiny', path))!;
    const asked = [3, 0, 5].map((i) => {
      const { prompt, chosen, rejected } = lines[i]!;
      return { prompt: prompt.ids, chosen: chosen.ids, rejected: rejected.ids };
    });
    given['pairs.json'] = new TextEncoder().encode(JSON.stringify(asked));
    await session.inspect({
      kind: 'dpo',
      files: { kind: 'memory', files: given },
      out: { kind: 'memory', files: out },
      options: {
        student: 'student',
        quantize: 'nf4-double',
        adapter: 'adapters/self-refine',
        referenceAdapter: 'adapters/instruct',
        pairs: 'pairs.json',
        beta: 0.1,
        loss: 'sigmoid',
        out: 'dpo.safetensors',
      },
    });
    const source = memorySource('out', out['dpo.safetensors']!);
    const tensors = tensorReader(await readSafetensorsHeader(source));
    const found = new Map<string, Float32Array>();
    for (const name of tensors.tensorNames) found.set(name, await tensors.readF32(name));
    const of = (name: string): Float32Array => found.get(name)!;
    for (const [p, { chosen, rejected, outcome }] of scored.entries()) {
      const near = (got: number, name: string, tolerance = NATS): void =>
        expect(Math.abs(got - of(name)[p]!), `${name} ${p}`).toBeLessThan(tolerance);
      near(chosen.policy!, 'policy_chosen_logps');
      near(rejected.policy!, 'policy_rejected_logps');
      near(chosen.reference, 'reference_chosen_logps');
      near(rejected.reference, 'reference_rejected_logps');
      near(outcome!.rewardChosen, 'rewards_chosen');
      near(outcome!.rewardRejected, 'rewards_rejected');
      near(outcome!.loss, 'losses', 1e-4);
    }
  });

  it('ipo compares means over tokens', async () => {
    const ipo = { phases: { ...phases, selfRefine: { ...phases.selfRefine, loss: 'ipo' } } };
    const { scored, summary: told } = await measure([2], { changes: ipo });
    expect(told).toMatchObject({ loss: 'ipo', over: 'means' });
    const [{ chosen, rejected, outcome }] = scored as [ScoredPair];
    const ratio = ({ policy, reference: own, tokens }: ScoredPair['chosen']): number => (policy! - own) / tokens.length;
    expect(outcome!.rewardChosen).toBeCloseTo(0.1 * ratio(chosen), 10);
    expect(outcome!.loss).toBeCloseTo((ratio(chosen) - ratio(rejected) - 1 / (2 * 0.1)) ** 2, 8); // Azar et al., eq. 17
  });

  it('without a refined student there is the reference alone', async () => {
    const adapter = await Promise.all(
      ['adapter_model.safetensors', 'adapter_config.json', 'pupil.json'].map(async (name) => {
        const path = `adapters/instruct/${name}`;
        return [path, (await store.loadArtefact('tiny', path))!] as const;
      }),
    );
    for (const [path, bytes] of adapter) await store.saveArtefact('half', path, bytes);
    await store.saveArtefact('half', 'pairs.jsonl', (await store.loadArtefact('tiny', 'pairs.jsonl'))!);
    const { scored, summary: told } = await measure([1], { runId: 'half' });
    expect(told.policy).toBe(false);
    expect(scored[0]!.outcome).toBeUndefined();
    expect(scored[0]!.chosen.policy).toBeUndefined();
    expect(scored[0]!.chosen.tokens.every((token) => !('policy' in token) && token.reference < 0)).toBe(true);
  });

  it('refuses what it cannot measure, and says what to do', async () => {
    await expect(measure([0], { runId: 'nobody' })).rejects.toMatchObject({ code: 'storage' });
    await expect(measure([])).rejects.toMatchObject({ code: 'usage' });
    await expect(measure([lines.length + 5])).rejects.toMatchObject({
      code: 'data',
      message: /expected a pair at line/,
    });
    await store.saveArtefact('torn', 'pairs.jsonl', new TextEncoder().encode('{"prompt":{"ids":[1]}}\n{"prom'));
    await expect(measure([0], { runId: 'torn' })).rejects.toMatchObject({ code: 'format', message: /chosen/ });
    await expect(measure([1], { runId: 'torn' })).rejects.toMatchObject({ code: 'data', message: /not JSON/ });
    const untrained = { phases: { baseline: true, instruct: false, selfRefine: false } };
    await expect(measure([0], { changes: untrained })).rejects.toMatchObject({ code: 'usage' });
  });

  it('is refused while other work goes on; stop ends it, and the next one works', async () => {
    let stopped: Promise<void> | undefined;
    let refused: Promise<unknown> | undefined;
    const measuring = measure(all(), {
      onEvent: () => {
        refused ??= measure([0]).catch((error: unknown) => error);
        stopped ??= session.stop();
      },
    });
    await expect(measuring).rejects.toMatchObject({ code: 'cancelled' });
    expect(await refused).toMatchObject({ code: 'usage', message: /busy with pairTokens/ });
    await stopped;
    expect((await measure([0])).scored).toHaveLength(1);
  });
});
