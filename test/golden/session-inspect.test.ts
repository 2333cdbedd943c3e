// `inspect` through the session against PyTorch, PEFT, TRL and bitsandbytes: files in, files out, as the command line
// drives it. Tolerances are those of the fixtures' README (f32 tier).
import { beforeAll, describe, expect, it } from 'vitest';
import { readSafetensorsHeader, tensorReader, type TensorReader } from '../../src/formats/safetensors';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../../src/formats/safetensorsWrite';
import { memorySource } from '../../src/formats/byteSource';
import { nodeGpu } from '../../src/gpu/node';
import type { InspectKind } from '../../src/session/protocol';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import { GOLDEN, jsonAt, tensorsAt } from './files';

type Options = Record<string, string | number | boolean>;

let session: Session;
beforeAll(async () => {
  session = new Session(await nodeGpu(), new MemoryRunStore());
  await session.open({ tier: 'f32' });
});

/** Runs one inspection on golden files (and extra ones given as `memory/…`), returns what it wrote. */
async function inspect(kind: InspectKind, options: Options, extra: Record<string, Uint8Array> = {}) {
  const files: Record<string, Uint8Array> = { ...extra };
  const out: Record<string, Uint8Array> = {};
  const { readFile, readdir } = await import('node:fs/promises');
  // Everything under one root, as the command line's file server has it.
  for (const folder of ['llama-tiny', 'lora-llama-tiny', 'qlora-llama-tiny-double', 'nf4', 'dpo']) {
    for (const entry of await readdir(`${GOLDEN}${folder}`, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = `${entry.parentPath ?? entry.path}/${entry.name}`;
      files[path.slice(GOLDEN.length)] = new Uint8Array(await readFile(path));
    }
  }
  await session.inspect({ kind, files: { kind: 'memory', files }, out: { kind: 'memory', files: out }, options });
  return out;
}

async function tensorsOf(bytes: Uint8Array | undefined): Promise<TensorReader> {
  expect(bytes).toBeDefined();
  return tensorReader(await readSafetensorsHeader(memorySource('out', bytes!)));
}

/** Largest |Δ| / (atol + rtol·|expected|); at most 1 passes. */
function worst(actual: ArrayLike<number>, expected: ArrayLike<number>, atol: number, rtol = 0): number {
  expect(actual.length).toBe(expected.length);
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const ratio = Math.abs(actual[i]! - expected[i]!) / (atol + rtol * Math.abs(expected[i]!));
    most = Math.max(most, Number.isNaN(ratio) ? Infinity : ratio);
  }
  return most;
}

async function expectGradients(actual: TensorReader, expected: TensorReader, prefix = ''): Promise<void> {
  const names = expected.tensorNames.filter((name) => name.startsWith(`${prefix}grad.`));
  expect(names).toHaveLength(28);
  for (const name of names) {
    const got = await actual.readF32(name.slice(prefix.length));
    expect(worst(got, await expected.readF32(name), 5e-6, 1e-4), name).toBeLessThanOrEqual(1);
  }
}

/** |Δ| typically 1e-5, stray elements up to 1e-3 (Adam divides by √v, which may be tiny). */
async function expectAdapter(bytes: Uint8Array | undefined, path: string): Promise<void> {
  const actual = await tensorsOf(bytes);
  const expected = await tensorsAt(`${GOLDEN}${path}`);
  expect([...actual.tensorNames].sort()).toEqual([...expected.tensorNames].sort());
  let stray = 0;
  let all = 0;
  for (const name of expected.tensorNames) {
    const got = await actual.readF32(name);
    const want = await expected.readF32(name);
    expect(worst(got, want, 1e-3), name).toBeLessThanOrEqual(1);
    for (let i = 0; i < want.length; i++) if (Math.abs(got[i]! - want[i]!) > 1e-5) stray++;
    all += want.length;
  }
  expect(stray / all).toBeLessThan(0.02);
}

/** logits where the mask is 1. */
async function expectLogits(actual: TensorReader, expected: TensorReader, name: string, mask: Float64Array) {
  const got = await actual.readF32('logits');
  const want = await expected.readF32(name);
  expect(got.length).toBe(want.length);
  const V = got.length / mask.length;
  let most = 0;
  for (let n = 0; n < mask.length; n++) {
    if (mask[n] === 0) continue;
    for (let v = 0; v < V; v++) most = Math.max(most, Math.abs(got[n * V + v]! - want[n * V + v]!));
  }
  expect(most).toBeLessThanOrEqual(1e-4);
}

describe('inspect logits', () => {
  it('llama-tiny: logits of a padded batch within 1e-4 of transformers', async () => {
    const out = await inspect('logits', {
      student: 'llama-tiny',
      batch: 'llama-tiny/expected.safetensors',
      out: 'logits.safetensors',
    });
    const expected = await tensorsAt(`${GOLDEN}llama-tiny/expected.safetensors`);
    const mask = await expected.readNumbers('attention_mask');
    const actual = await tensorsOf(out['logits.safetensors']);
    expect(actual.info('logits').shape).toEqual(expected.info('logits').shape);
    await expectLogits(actual, expected, 'logits', mask);
  });

  it('lora-llama-tiny: logits with a PEFT adapter', async () => {
    const out = await inspect('logits', {
      student: 'llama-tiny',
      adapter: 'lora-llama-tiny/adapter_init',
      batch: 'lora-llama-tiny/expected.safetensors',
      out: 'logits.safetensors',
    });
    const expected = await tensorsAt(`${GOLDEN}lora-llama-tiny/expected.safetensors`);
    await expectLogits(
      await tensorsOf(out['logits.safetensors']),
      expected,
      'logits',
      await expected.readNumbers('attention_mask'),
    );
  });

  it('qlora: a bnb-4bit checkpoint as it is, and the dense one quantised here, give bitsandbytes’ logits', async () => {
    const batch = await tensorsAt(`${GOLDEN}llama-tiny/expected.safetensors`);
    const mask = await batch.readNumbers('attention_mask');
    const expected = await tensorsAt(`${GOLDEN}qlora-llama-tiny-double/expected.safetensors`);
    for (const options of [
      { student: 'qlora-llama-tiny-double/hf_bnb4bit' },
      { student: 'llama-tiny', quantize: 'nf4-double' },
      { student: 'qlora-llama-tiny-double/dequantized_f32' },
    ]) {
      const out = await inspect('logits', {
        ...options,
        batch: 'llama-tiny/expected.safetensors',
        out: 'logits.safetensors',
      });
      await expectLogits(await tensorsOf(out['logits.safetensors']), expected, 'base_logits', mask);
    }
  });
});

describe('inspect gradients', () => {
  const batch = 'lora-llama-tiny/expected.safetensors';

  it('loss, token log-probabilities and all 28 gradients; five AdamW steps and the adapter', async () => {
    const out = await inspect('gradients', {
      student: 'llama-tiny',
      adapter: 'lora-llama-tiny/adapter_init',
      batch,
      out: 'g.safetensors',
      steps: 5,
      lr: 1e-2,
      weightDecay: 1e-4,
      adapterOut: 'trained',
    });
    const actual = await tensorsOf(out['g.safetensors']);
    const expected = await tensorsAt(`${GOLDEN}${batch}`);
    const json = await jsonAt<{
      loss: number;
      train: { loss_before_step_then_final: number[]; grad_norms: number[] };
    }>(`${GOLDEN}lora-llama-tiny/expected.json`);
    expect(actual.info('token_logps').shape).toEqual([3, 19]);
    expect(worst(await actual.readF32('loss'), [json.loss], 1e-4)).toBeLessThanOrEqual(1);
    expect(worst(await actual.readF32('token_logps'), await expected.readF32('token_logps'), 1e-4)).toBeLessThanOrEqual(
      1,
    );
    await expectGradients(actual, expected);
    expect(worst(await actual.readF32('losses'), json.train.loss_before_step_then_final, 1e-4)).toBeLessThanOrEqual(1);
    expect(worst(await actual.readF32('grad_norms'), json.train.grad_norms, 1e-3)).toBeLessThanOrEqual(1);
    await expectAdapter(
      out['trained/adapter_model.safetensors'],
      'lora-llama-tiny/adapter_final/adapter_model.safetensors',
    );
    expect(Object.keys(out).sort()).toEqual([
      'g.safetensors',
      'trained/adapter_config.json',
      'trained/adapter_model.safetensors',
    ]);
  });

  it('five steps with clipping at 0.3', async () => {
    const out = await inspect('gradients', {
      student: 'llama-tiny',
      adapter: 'lora-llama-tiny/adapter_init',
      batch,
      out: 'g.safetensors',
      steps: 5,
      lr: 1e-2,
      weightDecay: 1e-4,
      clip: 0.3,
      adapterOut: 'trained',
    });
    const json = await jsonAt<{
      ['train_clip0.3']: { loss_before_step_then_final: number[]; grad_norms_before_clip: number[] };
    }>(`${GOLDEN}lora-llama-tiny/expected.json`);
    const actual = await tensorsOf(out['g.safetensors']);
    const expected = json['train_clip0.3'];
    expect(worst(await actual.readF32('losses'), expected.loss_before_step_then_final, 1e-4)).toBeLessThanOrEqual(1);
    expect(worst(await actual.readF32('grad_norms'), expected.grad_norms_before_clip, 1e-3)).toBeLessThanOrEqual(1);
    await expectAdapter(
      out['trained/adapter_model.safetensors'],
      'lora-llama-tiny/adapter_final_clip0.3/adapter_model.safetensors',
    );
  });

  it('QLoRA over the double-quantised base: gradients and five steps', async () => {
    const out = await inspect('gradients', {
      student: 'qlora-llama-tiny-double/hf_bnb4bit',
      adapter: 'lora-llama-tiny/adapter_init',
      batch,
      out: 'g.safetensors',
      steps: 5,
      lr: 1e-2,
      weightDecay: 1e-4,
      adapterOut: 'trained',
    });
    const actual = await tensorsOf(out['g.safetensors']);
    const json = await jsonAt<{ loss: number; train_loss_before_step_then_final: number[] }>(
      `${GOLDEN}qlora-llama-tiny-double/expected.json`,
    );
    expect(worst(await actual.readF32('loss'), [json.loss], 1e-4)).toBeLessThanOrEqual(1);
    await expectGradients(actual, await tensorsAt(`${GOLDEN}qlora-llama-tiny-double/expected.safetensors`));
    expect(worst(await actual.readF32('losses'), json.train_loss_before_step_then_final, 1e-4)).toBeLessThanOrEqual(1);
    await expectAdapter(
      out['trained/adapter_model.safetensors'],
      'qlora-llama-tiny-double/adapter_final/adapter_model.safetensors',
    );
  });

  it('without an adapter there is nothing to differentiate by: an error that says so', async () => {
    await expect(inspect('gradients', { student: 'llama-tiny', batch, out: 'g.safetensors' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('--adapter') as string,
    });
  });

  it('a batch whose labels are all −100 is refused', async () => {
    const expected = await tensorsAt(`${GOLDEN}${batch}`);
    const copy = async (name: string): Promise<TensorData> => {
      const { dtype, shape } = expected.info(name);
      return { name, dtype, shape, data: await expected.readBytes(name) };
    };
    const labels = new BigInt64Array(60).fill(-100n);
    const masked = writeSafetensors(
      inLibraryOrder([
        await copy('input_ids'),
        await copy('attention_mask'),
        { name: 'labels', dtype: 'i64', shape: [3, 20], data: labels },
      ]),
    );
    const options = { student: 'llama-tiny', adapter: 'lora-llama-tiny/adapter_init', batch: 'masked', out: 'g' };
    await expect(inspect('gradients', options, { masked })).rejects.toMatchObject({ code: 'training' });
  });
});

describe('inspect dpo', () => {
  interface Expected {
    pairs: { prompt_input_ids: number[]; chosen_input_ids: number[]; rejected_input_ids: number[] }[];
    variants: Record<string, { loss_type: string; beta: number; label_smoothing: number; loss: number }>;
    train_from_init: { loss_before_step_then_final: number[] };
  }
  const load = (): Promise<Expected> => jsonAt<Expected>(`${GOLDEN}dpo/expected.json`);
  const pairsFile = (expected: Expected): Uint8Array =>
    new TextEncoder().encode(
      JSON.stringify(
        expected.pairs.map((pair) => ({
          prompt: pair.prompt_input_ids,
          chosen: pair.chosen_input_ids,
          rejected: pair.rejected_input_ids,
        })),
      ),
    );

  for (const variant of ['sigmoid', 'sigmoid_ls0.1', 'ipo', 'sigmoid_beta0.5']) {
    it(`${variant}: log-probabilities, losses, rewards and gradients of TRL`, async () => {
      const json = await load();
      const { loss_type, beta, label_smoothing, loss } = json.variants[variant]!;
      const out = await inspect(
        'dpo',
        {
          student: 'llama-tiny',
          adapter: 'lora-llama-tiny/adapter_final',
          referenceAdapter: 'lora-llama-tiny/adapter_init',
          pairs: 'pairs.json',
          loss: loss_type,
          beta,
          labelSmoothing: label_smoothing,
          out: 'd.safetensors',
        },
        { 'pairs.json': pairsFile(json) },
      );
      const actual = await tensorsOf(out['d.safetensors']);
      const expected = await tensorsAt(`${GOLDEN}dpo/expected.safetensors`);
      const close = async (ours: string, theirs: string, atol: number, rtol = 0): Promise<void> => {
        const got = await actual.readF32(ours);
        expect(worst(got, await expected.readF32(`${variant}.${theirs}`), atol, rtol), ours).toBeLessThanOrEqual(1);
      };
      await close('policy_chosen_logps', 'policy_chosen_logps', 1e-3);
      await close('policy_rejected_logps', 'policy_rejected_logps', 1e-3);
      await close('reference_chosen_logps', 'ref_chosen_logps', 1e-3);
      await close('reference_rejected_logps', 'ref_rejected_logps', 1e-3);
      await close('rewards_chosen', 'chosen_rewards', 1e-3);
      await close('rewards_rejected', 'rejected_rewards', 1e-3);
      await close('losses', 'losses', 1e-4, 1e-5);
      expect(worst(await actual.readF32('loss'), [loss], 1e-4, 1e-5)).toBeLessThanOrEqual(1);
      await expectGradients(actual, expected, `${variant}.`);
    });
  }

  it('five steps from policy = reference: the first loss is ln 2, the adapter is TRL’s', async () => {
    const json = await load();
    const out = await inspect(
      'dpo',
      {
        student: 'llama-tiny',
        adapter: 'lora-llama-tiny/adapter_init',
        referenceAdapter: 'lora-llama-tiny/adapter_init',
        pairs: 'pairs.json',
        loss: 'sigmoid',
        beta: 0.1,
        out: 'd.safetensors',
        steps: 5,
        lr: 1e-2,
        weightDecay: 1e-4,
        adapterOut: 'trained',
      },
      { 'pairs.json': pairsFile(json) },
    );
    const actual = await tensorsOf(out['d.safetensors']);
    const losses = await actual.readF32('losses');
    expect(losses[0]).toBeCloseTo(Math.LN2, 6);
    expect(worst(losses, json.train_from_init.loss_before_step_then_final, 1e-4)).toBeLessThanOrEqual(1);
    expect((await actual.readF32('pair_losses')).length).toBe(4);
    await expectAdapter(
      out['trained/adapter_model.safetensors'],
      'dpo/adapter_after_dpo_5_steps/adapter_model.safetensors',
    );
  });
});

describe('inspect generate', () => {
  it('greedy continuations are exactly those of transformers, whatever is beside them in the batch', async () => {
    const json = await jsonAt<{ generation: { prompt: number[]; generated: number[] }[] }>(
      `${GOLDEN}llama-tiny/expected.json`,
    );
    const prompts = new TextEncoder().encode(JSON.stringify(json.generation.map(({ prompt }) => prompt)));
    const out = await inspect(
      'generate',
      { student: 'llama-tiny', prompts: 'prompts.json', maxNewTokens: 16, temperature: 0, out: 'o.json' },
      { 'prompts.json': prompts },
    );
    const answers = JSON.parse(new TextDecoder().decode(out['o.json'])) as { ids: number[]; stopped: string }[];
    expect(answers.map(({ ids }) => ids)).toEqual(json.generation.map(({ generated }) => generated));
    expect(answers.every(({ stopped }) => stopped === 'length')).toBe(true);
  });
});

describe('inspect nf4', () => {
  interface Case {
    shape: number[];
    dtype: string;
    'ambiguous_elements_within_1e-6_of_a_decision_boundary': number[];
    'ambiguous_absmax_within_1e-3_gap_of_a_nested_boundary': number[];
  }

  for (const double of [false, true]) {
    it(`${double ? 'double' : 'single'} quantisation: bitsandbytes’ bytes outside the ambiguous elements`, async () => {
      const { cases } = await jsonAt<{ cases: Record<string, Case> }>(`${GOLDEN}nf4/expected.json`);
      const expected = await tensorsAt(`${GOLDEN}nf4/expected.safetensors`);
      const names = Object.keys(cases);
      expect(names).toHaveLength(12);
      const inputs: TensorData[] = [];
      for (const name of names) {
        const { dtype, shape } = expected.info(`${name}.input`);
        inputs.push({ name, dtype, shape, data: await expected.readBytes(`${name}.input`) });
      }
      const out = await inspect(
        'nf4',
        { input: 'in.safetensors', out: 'o.safetensors', double },
        { 'in.safetensors': writeSafetensors(inLibraryOrder(inputs)) },
      );
      const actual = await tensorsOf(out['o.safetensors']);
      const kind = double ? 'double' : 'single';
      for (const name of names) {
        const { dtype, shape } = expected.info(`${name}.input`);
        const count = shape.reduce((product, size) => product * size, 1);
        const excused = new Set(cases[name]!['ambiguous_elements_within_1e-6_of_a_decision_boundary']);
        const zeroBlocks = name.startsWith('zeroblock');
        const got = await actual.readNumbers(`${name}.packed`);
        const want = await expected.readNumbers(`${name}.${kind}.packed`);
        expect(got.length, name).toBe(want.length);
        const nibble = (bytes: Float64Array, i: number): number =>
          i % 2 === 0 ? bytes[i >> 1]! >> 4 : bytes[i >> 1]! & 15;
        for (let i = 0; i < count && !zeroBlocks; i++) {
          if (!excused.has(i)) expect(nibble(got, i), `${name} element ${i}`).toBe(nibble(want, i));
        }
        expect(actual.info(`${name}.dequantized`)).toMatchObject({ dtype, shape });
        const excusedBlocks = new Set(
          double ? cases[name]!['ambiguous_absmax_within_1e-3_gap_of_a_nested_boundary'] : [],
        );
        const offsetError = double
          ? Math.abs(
              (await actual.readF32(`${name}.offset`))[0]! - (await expected.readF32(`${name}.double.offset`))[0]!,
            )
          : 0;
        const values = await actual.readNumbers(`${name}.dequantized`);
        const theirs = await expected.readNumbers(`${name}.${kind}.dequantized`);
        for (let i = 0; i < count; i++) {
          if (excused.has(i) || excusedBlocks.has(Math.floor(i / 64))) continue;
          // Exact for single quantisation. Double: 2 units in the last place (bf16: of bf16), and where the mean of the
          // scales differs in its last bit (PyTorch adds in another order) twice that: offset and nested absmax move.
          const ulps = dtype === 'bf16' ? 2 ** -7 : 2 ** -22;
          const allowed = double ? Math.abs(theirs[i]!) * ulps + 2 * offsetError : 0;
          expect(Math.abs(values[i]! - theirs[i]!), `${name} value ${i}`).toBeLessThanOrEqual(allowed);
        }
        if (!double) {
          const absmax = await actual.readF32(`${name}.absmax`);
          expect([...absmax], name).toEqual([...(await expected.readF32(`${name}.single.absmax`))]);
        } else {
          const offset = await actual.readF32(`${name}.offset`);
          expect(worst(offset, await expected.readF32(`${name}.double.offset`), 0, 1e-6), name).toBeLessThanOrEqual(1);
          expect((await actual.readF32(`${name}.nested_quant_map`)).length).toBe(256);
        }
      }
    });
  }
});
