// familyRuns.test.ts: a whole run of both phases on tiny random students with what newer families have (norms of heads and
// biases; norms of branches, caps, windows shorter than the text): it finishes, learns, begins DPO at ln 2, and stopping it
// changes nothing. What holds of every run is run.test.ts.
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeGpu } from '../../src/gpu/node';
import type { RunSummary, SessionEvent } from '../../src/session/protocol';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import type { RunStore } from '../../src/storage/runStore';
import { tinyExperiment, tinyFiles } from '../unit/session/tinyRun';

let session: Session;
let present: RunStore = new MemoryRunStore();
beforeAll(async () => {
  const store = new Proxy({} as RunStore, {
    get: (_, name: keyof RunStore) => (present[name] as (...args: unknown[]) => unknown).bind(present),
  });
  session = new Session(await nodeGpu(), store);
  await session.open({ tier: 'f32' });
});

/** Keys beside those of tinyRun's config. */
const STUDENTS = {
  qwen3: {
    model_type: 'qwen3',
    architectures: ['Qwen3ForCausalLM'],
    attention_bias: true,
    head_dim: 12,
    use_sliding_window: true,
    sliding_window: 9,
    max_window_layers: 1,
  },
  gemma2: {
    model_type: 'gemma2',
    architectures: ['Gemma2ForCausalLM'],
    hidden_act: 'gelu_pytorch_tanh',
    head_dim: 10,
    query_pre_attn_scalar: 10,
    sliding_window: 7,
    attn_logit_softcapping: 3,
    final_logit_softcapping: 6,
  },
};

interface Result {
  summary: RunSummary;
  events: SessionEvent[];
  out: Record<string, Uint8Array>;
}

async function run(
  files: Record<string, Uint8Array>,
  store: RunStore,
  resume = false,
  stopAt = Infinity,
): Promise<Result> {
  present = store;
  const out: Record<string, Uint8Array> = {};
  const events: SessionEvent[] = [];
  const base = tinyExperiment();
  const summary = await session.run(
    {
      runId: 'family',
      experiment: { ...base, evaluation: { prompts: ['plain'], maxNewTokens: 6, batchSize: 3 } },
      files: { kind: 'memory', files },
      out: { kind: 'memory', files: out },
      ...(resume ? { resume } : {}),
    },
    (event) => {
      events.push(event);
      if (events.length === stopAt) void session.stop();
    },
  );
  return { summary, events, out };
}

const rowsOf = (bytes: Uint8Array | undefined, phase: string): Record<string, number>[] =>
  new TextDecoder()
    .decode(bytes)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>)
    .filter((row) => (row['phase'] as unknown) === phase);

describe.each(Object.entries(STUDENTS))('a %s', (_, keys) => {
  it('is instructed and refines itself; stopped twice on the way, the run ends with the same bits', async () => {
    const files = tinyFiles(keys);
    const whole = await run(files, new MemoryRunStore());
    expect(whole.summary.error).toBeUndefined();
    expect(whole.summary.state).toBe('finished');

    const supervised = rowsOf(whole.out['metrics.jsonl'], 'instruct').map((row) => row['loss']!);
    expect(supervised).toHaveLength(6);
    expect(supervised.every(Number.isFinite)).toBe(true);
    expect(supervised.at(-1)!).toBeLessThan(supervised[0]! - 0.2);
    const preference = rowsOf(whole.out['metrics.jsonl'], 'self-refine');
    expect(preference.map((row) => row['step'])).toEqual([0, 1, 2, 3, 4, 5]);
    expect(preference[0]!['eval_loss']).toBeCloseTo(Math.LN2, 5);
    expect(preference[1]!['loss']).toBeCloseTo(Math.LN2, 5);
    expect(preference.at(-1)!['loss']).toBeLessThan(Math.LN2);
    expect(preference.at(-1)!['grad_norm']).toBeGreaterThan(0);

    const store = new MemoryRunStore();
    const third = Math.floor(whole.events.length / 3);
    for (const resume of [false, true]) {
      const { summary } = await run(files, store, resume, third);
      expect(summary).toMatchObject({ state: 'stopped' });
    }
    const resumed = await run(files, store, true);
    expect(resumed.summary).toMatchObject({ state: 'finished' });
    for (const path of [
      'adapters/instruct/adapter_model.safetensors',
      'adapters/self-refine/adapter_model.safetensors',
      'pairs.jsonl',
      'predictions.jsonl',
    ]) {
      const bytes = await store.loadArtefact('family', path);
      expect(Buffer.compare(bytes!, whole.out[path]!), path).toBe(0);
    }
  });
});
