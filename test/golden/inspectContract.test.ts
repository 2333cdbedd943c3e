// inspectContract.test.ts: what `inspect` writes, name for name: the keys, shapes and dtypes that an engineer's own script
// reads. No numbers here (session-inspect.test.ts has them); a tensor too many is as wrong as one too few.
import { beforeAll, describe, expect, it } from 'vitest';
import type { DType } from '../../src/base/dtypes';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../../src/formats/safetensorsWrite';
import { nodeGpu } from '../../src/gpu/node';
import type { InspectKind } from '../../src/session/protocol';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import { dpoExpected, pairsFile, tensorsOf } from './compare';
import { GOLDEN, tensorsAt } from './files';

let session: Session;
beforeAll(async () => {
  session = new Session(await nodeGpu(), new MemoryRunStore());
  await session.open({ tier: 'f32' });
});

const STUDENT = `${GOLDEN}llama-tiny`;
const ADAPTER = `${GOLDEN}lora-llama-tiny/adapter_init`;
const FINAL = `${GOLDEN}lora-llama-tiny/adapter_final`;
const BATCH = `${GOLDEN}lora-llama-tiny/expected.safetensors`;
const [B, T, V] = [3, 20, 256];

type Options = Record<string, string | number | boolean>;

async function inspect(kind: InspectKind, options: Options, files: Record<string, Uint8Array> = {}) {
  const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
  const folder = await mkdtemp((await import('node:path')).join((await import('node:os')).tmpdir(), 'pupil-contract-'));
  try {
    for (const [name, bytes] of Object.entries(files)) await writeFile(`${folder}/${name}`, bytes);
    const out: Record<string, Uint8Array> = {};
    await session.inspect({
      kind,
      files: { kind: 'disk', directory: folder },
      out: { kind: 'memory', files: out },
      options: { out: 'out', ...options },
    });
    return out;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Every tensor of a file as `DTYPE [shape]`. */
async function contents(bytes: Uint8Array | undefined): Promise<Record<string, string>> {
  const file = await tensorsOf(bytes);
  return Object.fromEntries(
    file.tensorNames.map((name) => {
      const { dtype, shape } = file.info(name);
      return [name, `${dtype.toUpperCase()} [${shape.join(', ')}]`];
    }),
  );
}

/** `grad.<PEFT tensor name>` of every tensor of an adapter file, in its shape. */
async function gradientsOf(adapter: string): Promise<Record<string, string>> {
  const file = await tensorsAt(`${adapter}/adapter_model.safetensors`);
  expect(file.tensorNames).toHaveLength(28);
  return Object.fromEntries(
    file.tensorNames.map((name) => [`grad.${name}`, `F32 [${file.info(name).shape.join(', ')}]`]),
  );
}

const STEPS = { steps: 2, lr: 1e-2, weightDecay: 1e-4, clip: 1, adapterOut: 'trained' };

describe('inspect logits', () => {
  it('writes logits F32 [B,T,V]', async () => {
    for (const adapter of [{}, { adapter: ADAPTER }]) {
      const out = await inspect('logits', { student: STUDENT, ...adapter, batch: BATCH });
      expect(await contents(out['out'])).toEqual({ logits: `F32 [${B}, ${T}, ${V}]` });
    }
  });
});

describe('inspect gradients', () => {
  const scores = { loss: 'F32 [1]', token_logps: `F32 [${B}, ${T - 1}]` };

  it('writes loss [1], token_logps [B,T−1] and a gradient for every tensor of the adapter', async () => {
    const out = await inspect('gradients', { student: STUDENT, adapter: ADAPTER, batch: BATCH });
    expect(await contents(out['out'])).toEqual({ ...scores, ...(await gradientsOf(ADAPTER)) });
  });

  it('with --steps N also losses [N+1] and grad_norms [N], and the adapter in PEFT’s files', async () => {
    const out = await inspect('gradients', { student: STUDENT, adapter: ADAPTER, batch: BATCH, ...STEPS });
    const written = await contents(out['out']);
    expect(written).toEqual({
      ...scores,
      ...(await gradientsOf(ADAPTER)),
      losses: 'F32 [3]',
      grad_norms: 'F32 [2]',
    });
    const trained = await contents(out['trained/adapter_model.safetensors']);
    const given = await tensorsAt(`${ADAPTER}/adapter_model.safetensors`);
    expect(Object.keys(trained).sort()).toEqual([...given.tensorNames].sort());
    expect(Object.keys(out).sort()).toEqual([
      'out',
      'trained/adapter_config.json',
      'trained/adapter_model.safetensors',
    ]);
    // The first of `losses` is `loss`: both are at the given adapter.
    const file = await tensorsOf(out['out']);
    const [loss, losses] = [await file.readF32('loss'), await file.readF32('losses')];
    expect(losses[0]).toBeCloseTo(loss[0]!, 5);
  });

  it('a training that diverges is an error', async () => {
    for (const steps of [1, 3]) {
      const steep = { student: STUDENT, adapter: ADAPTER, batch: BATCH, steps, lr: 1e30 };
      await expect(inspect('gradients', steep)).rejects.toMatchObject({
        code: 'training',
        message: expect.stringMatching(/^inspect gradients: expected a finite loss/) as string,
      });
    }
  });

  it('without an adapter: the student’s own loss and log-probabilities, and no gradients', async () => {
    const out = await inspect('gradients', { student: STUDENT, batch: BATCH });
    expect(await contents(out['out'])).toEqual(scores);
    const file = await tensorsOf(out['out']);
    const logps = await file.readF32('token_logps');
    const batch = await tensorsAt(BATCH);
    const labels = await batch.readNumbers('labels');
    const targets = labels.filter((label, i) => i % T !== 0 && label !== -100).length;
    const mean = -logps.reduce((sum, logp) => sum + logp, 0) / targets;
    expect((await file.readF32('loss'))[0]).toBeCloseTo(mean, 4);
    // Where a label is ignored, the entry before it is 0, and elsewhere it is a log-probability.
    for (let b = 0; b < B; b++) {
      for (let t = 1; t < T; t++) {
        const logp = logps[b * (T - 1) + t - 1]!;
        if (labels[b * T + t] === -100) expect(logp).toBe(0);
        else expect(logp).toBeLessThan(0);
      }
    }
    await expect(inspect('gradients', { student: STUDENT, batch: BATCH, steps: 1, lr: 1 })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('--adapter') as string,
    });
  });
});

describe('inspect dpo', () => {
  const per = (P: number): Record<string, string> =>
    Object.fromEntries(
      [
        'policy_chosen_logps',
        'policy_rejected_logps',
        'reference_chosen_logps',
        'reference_rejected_logps',
        'rewards_chosen',
        'rewards_rejected',
      ].map((name) => [name, `F32 [${P}]`]),
    );
  const base = { student: STUDENT, adapter: FINAL, referenceAdapter: ADAPTER, pairs: 'pairs.json', beta: 0.1 };

  it('writes log-probabilities, losses and rewards [P], loss [1] and the gradients', async () => {
    const files = { 'pairs.json': pairsFile(await dpoExpected()) };
    for (const loss of ['sigmoid', 'ipo', 'hinge', 'robust']) {
      const out = await inspect('dpo', { ...base, loss, labelSmoothing: 0.1 }, files);
      const expected = { ...per(4), losses: 'F32 [4]', loss: 'F32 [1]', ...(await gradientsOf(FINAL)) };
      expect(await contents(out['out']), loss).toEqual(expected);
    }
  });

  it('with --steps N `losses` is [N+1], as in gradients; the pairs’ own at the given adapter are `pair_losses` [P]', async () => {
    const files = { 'pairs.json': pairsFile(await dpoExpected()) };
    const alone = await tensorsOf((await inspect('dpo', { ...base, loss: 'sigmoid' }, files))['out']);
    const out = await inspect('dpo', { ...base, loss: 'sigmoid', ...STEPS }, files);
    expect(await contents(out['out'])).toEqual({
      ...per(4),
      pair_losses: 'F32 [4]',
      loss: 'F32 [1]',
      losses: 'F32 [3]',
      grad_norms: 'F32 [2]',
      ...(await gradientsOf(FINAL)),
    });
    const file = await tensorsOf(out['out']);
    expect([...(await file.readF32('pair_losses'))]).toEqual([...(await alone.readF32('losses'))]);
    expect((await file.readF32('losses'))[0]).toBe((await file.readF32('loss'))[0]);
    expect(Object.keys(out)).toContain('trained/adapter_config.json');
  });
});

describe('inspect generate', () => {
  it('writes the new ids alone and why each stopped, one object a prompt', async () => {
    const files = { 'prompts.json': new TextEncoder().encode('[[1, 5, 9], [7]]') };
    const options = { student: STUDENT, prompts: 'prompts.json', maxNewTokens: 4, temperature: 1, seed: 3 };
    const out = await inspect('generate', options, files);
    const answers = JSON.parse(new TextDecoder().decode(out['out'])) as Record<string, unknown>[];
    expect(answers).toHaveLength(2);
    for (const answer of answers) {
      expect(Object.keys(answer).sort()).toEqual(['ids', 'stopped']);
      expect(['eos', 'length']).toContain(answer['stopped']);
      const ids = answer['ids'] as number[];
      expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < V)).toBe(true);
      expect(answer['stopped'] === 'length' ? ids.length : 4).toBe(4);
    }
    // The same seed, the same tokens; another seed, others.
    expect((await inspect('generate', options, files))['out']).toEqual(out['out']);
    expect((await inspect('generate', { ...options, seed: 4 }, files))['out']).not.toEqual(out['out']);
    const none = await inspect('generate', options, { 'prompts.json': new TextEncoder().encode('[]') });
    expect(JSON.parse(new TextDecoder().decode(none['out']))).toEqual([]);
  });
});

describe('inspect nf4', () => {
  const values = (count: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i));
  const tensor = (name: string, dtype: DType, shape: number[]): TensorData => {
    const count = shape.reduce((product, size) => product * size, 1);
    const data = dtype === 'f32' ? Float32Array.from(values(count)) : new Uint16Array(count).fill(0x3c00);
    return { name, dtype, shape, data };
  };
  // 5·13 = 65 elements: two blocks, an odd byte; 130·200: more than 256 blocks, so two nested ones.
  const input = writeSafetensors(
    inLibraryOrder([tensor('odd', 'f32', [5, 13]), tensor('half', 'f16', [64]), tensor('many', 'bf16', [130, 200])]),
  );
  const dequantized = {
    'odd.dequantized': 'F32 [5, 13]',
    'half.dequantized': 'F16 [64]',
    'many.dequantized': 'BF16 [130, 200]',
    'odd.packed': 'U8 [33]',
    'half.packed': 'U8 [32]',
    'many.packed': 'U8 [13000]',
  };

  it('single: packed U8, absmax F32, dequantized as the input', async () => {
    const out = await inspect('nf4', { input: 'in' }, { in: input });
    expect(await contents(out['out'])).toEqual({
      ...dequantized,
      'odd.absmax': 'F32 [2]',
      'half.absmax': 'F32 [1]',
      'many.absmax': 'F32 [407]',
    });
  });

  it('--double: absmax U8, nested_absmax F32, nested_quant_map F32 [256], offset F32 [1]', async () => {
    const out = await inspect('nf4', { input: 'in', double: true }, { in: input });
    const nested = (name: string, blocks: number, nestedBlocks: number): Record<string, string> => ({
      [`${name}.absmax`]: `U8 [${blocks}]`,
      [`${name}.nested_absmax`]: `F32 [${nestedBlocks}]`,
      [`${name}.nested_quant_map`]: 'F32 [256]',
      [`${name}.offset`]: 'F32 [1]',
    });
    expect(await contents(out['out'])).toEqual({
      ...dequantized,
      ...nested('odd', 2, 1),
      ...nested('half', 1, 1),
      ...nested('many', 407, 2),
    });
  });
});
