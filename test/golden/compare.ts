// compare.ts: what `inspect` wrote, against the fixtures of PyTorch, PEFT, TRL and bitsandbytes. Shared by the tests that
// drive the session and those that run the command line; tolerances are those of the fixtures' README (f32 tier). Also
// makes the inputs that the fixtures hold in another form. Tests only.
import { expect } from 'vitest';
import { memorySource } from '../../src/formats/byteSource';
import { readSafetensorsHeader, tensorReader, type TensorReader } from '../../src/formats/safetensors';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../../src/formats/safetensorsWrite';
import { GOLDEN, jsonAt, tensorsAt } from './files';

export interface TrainingExpected {
  losses: number[];
  norms?: number[];
}

export interface DpoExpected {
  pairs: { prompt_input_ids: number[]; chosen_input_ids: number[]; rejected_input_ids: number[] }[];
  variants: Record<string, { loss_type: string; beta: number; label_smoothing: number; loss: number }>;
  train_from_init: { loss_before_step_then_final: number[] };
}

export async function tensorsOf(bytes: Uint8Array | undefined): Promise<TensorReader> {
  expect(bytes).toBeDefined();
  return tensorReader(await readSafetensorsHeader(memorySource('out', bytes!)));
}

/** Largest |Δ| / (atol + rtol·|expected|); at most 1 passes. */
export function worst(actual: ArrayLike<number>, expected: ArrayLike<number>, atol: number, rtol = 0): number {
  expect(actual.length).toBe(expected.length);
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const ratio = Math.abs(actual[i]! - expected[i]!) / (atol + rtol * Math.abs(expected[i]!));
    most = Math.max(most, Number.isNaN(ratio) ? Infinity : ratio);
  }
  return most;
}

/** All 28 gradients of the seven adapted linear layers of two decoder layers. */
export async function expectGradients(actual: TensorReader, expected: TensorReader, prefix = ''): Promise<void> {
  const names = expected.tensorNames.filter((name) => name.startsWith(`${prefix}grad.`));
  expect(names).toHaveLength(28);
  for (const name of names) {
    const got = await actual.readF32(name.slice(prefix.length));
    expect(worst(got, await expected.readF32(name), 5e-6, 1e-4), name).toBeLessThanOrEqual(1);
  }
}

/** |Δ| typically 1e-5, stray elements up to 1e-3 (Adam divides by √v, which may be tiny). */
export async function expectAdapter(bytes: Uint8Array | undefined, path: string): Promise<void> {
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
export async function expectLogits(
  actual: TensorReader,
  expected: TensorReader,
  name: string,
  mask: Float64Array,
): Promise<void> {
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

/** Losses before each step and after the last; gradient norms before clipping where the fixture has them. */
export async function expectTraining(actual: TensorReader, { losses, norms }: TrainingExpected): Promise<void> {
  expect(worst(await actual.readF32('losses'), losses, 1e-4)).toBeLessThanOrEqual(1);
  if (norms !== undefined) expect(worst(await actual.readF32('grad_norms'), norms, 1e-3)).toBeLessThanOrEqual(1);
}

/** `inspect gradients --steps 5` from `lora-llama-tiny/adapter_init` over llama-tiny. */
export async function expectLoraTraining(out: Uint8Array | undefined, adapter: Uint8Array | undefined): Promise<void> {
  const actual = await tensorsOf(out);
  const expected = await tensorsAt(`${GOLDEN}lora-llama-tiny/expected.safetensors`);
  const { loss, train } = await jsonAt<{
    loss: number;
    train: { loss_before_step_then_final: number[]; grad_norms: number[] };
  }>(`${GOLDEN}lora-llama-tiny/expected.json`);
  expect(actual.info('token_logps').shape).toEqual([3, 19]);
  expect(worst(await actual.readF32('loss'), [loss], 1e-4)).toBeLessThanOrEqual(1);
  const logps = await expected.readF32('token_logps');
  expect(worst(await actual.readF32('token_logps'), logps, 1e-4)).toBeLessThanOrEqual(1);
  await expectGradients(actual, expected);
  await expectTraining(actual, { losses: train.loss_before_step_then_final, norms: train.grad_norms });
  await expectAdapter(adapter, 'lora-llama-tiny/adapter_final/adapter_model.safetensors');
}

/** The same over the double-quantised base of `qlora-llama-tiny-double`. */
export async function expectQloraTraining(out: Uint8Array | undefined, adapter: Uint8Array | undefined): Promise<void> {
  const folder = 'qlora-llama-tiny-double';
  const actual = await tensorsOf(out);
  const json = await jsonAt<{ loss: number; train_loss_before_step_then_final: number[] }>(
    `${GOLDEN}${folder}/expected.json`,
  );
  expect(worst(await actual.readF32('loss'), [json.loss], 1e-4)).toBeLessThanOrEqual(1);
  await expectGradients(actual, await tensorsAt(`${GOLDEN}${folder}/expected.safetensors`));
  await expectTraining(actual, { losses: json.train_loss_before_step_then_final });
  await expectAdapter(adapter, `${folder}/adapter_final/adapter_model.safetensors`);
}

export const dpoExpected = (): Promise<DpoExpected> => jsonAt<DpoExpected>(`${GOLDEN}dpo/expected.json`);

/** The fixture's pairs as `inspect dpo --pairs` reads them. */
export function pairsFile(expected: DpoExpected): Uint8Array {
  const pairs = expected.pairs.map((pair) => ({
    prompt: pair.prompt_input_ids,
    chosen: pair.chosen_input_ids,
    rejected: pair.rejected_input_ids,
  }));
  return new TextEncoder().encode(JSON.stringify(pairs));
}

/** `inspect dpo` of one variant: log-probabilities, rewards, losses and gradients. */
export async function expectDpo(out: Uint8Array | undefined, variant: string): Promise<void> {
  const { variants } = await dpoExpected();
  const actual = await tensorsOf(out);
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
  expect(worst(await actual.readF32('loss'), [variants[variant]!.loss], 1e-4, 1e-5)).toBeLessThanOrEqual(1);
  await expectGradients(actual, expected, `${variant}.`);
}

/** `inspect dpo --steps 5` from policy = reference: the first loss is ln 2. */
export async function expectDpoTraining(out: Uint8Array | undefined, adapter: Uint8Array | undefined): Promise<void> {
  const { train_from_init } = await dpoExpected();
  const actual = await tensorsOf(out);
  expect((await actual.readF32('losses'))[0]).toBeCloseTo(Math.LN2, 6);
  expect((await actual.readF32('pair_losses')).length).toBe(4);
  await expectTraining(actual, { losses: train_from_init.loss_before_step_then_final });
  await expectAdapter(adapter, 'dpo/adapter_after_dpo_5_steps/adapter_model.safetensors');
}

interface Generations {
  generation: { prompt: number[]; generated: number[] }[];
}

/** llama-tiny's three prompts as `inspect generate --prompts` reads them. */
export async function promptsFile(): Promise<Uint8Array> {
  const { generation } = await jsonAt<Generations>(`${GOLDEN}llama-tiny/expected.json`);
  return new TextEncoder().encode(JSON.stringify(generation.map(({ prompt }) => prompt)));
}

/** Sixteen greedy tokens for each of them, exactly. */
export async function expectGreedy(out: Uint8Array | undefined): Promise<void> {
  expect(out).toBeDefined();
  const { generation } = await jsonAt<Generations>(`${GOLDEN}llama-tiny/expected.json`);
  const answers = JSON.parse(new TextDecoder().decode(out)) as { ids: number[]; stopped: string }[];
  expect(answers.map(({ ids }) => ids)).toEqual(generation.map(({ generated }) => generated));
  expect(answers.every(({ stopped }) => stopped === 'length')).toBe(true);
}

interface Nf4Case {
  shape: number[];
  dtype: string;
  'ambiguous_elements_within_1e-6_of_a_decision_boundary': number[];
  'ambiguous_absmax_within_1e-3_gap_of_a_nested_boundary': number[];
}

const nf4Cases = async (): Promise<Record<string, Nf4Case>> =>
  (await jsonAt<{ cases: Record<string, Nf4Case> }>(`${GOLDEN}nf4/expected.json`)).cases;

/** The twelve inputs of the NF4 fixture in a file of their own. */
export async function nf4Input(): Promise<Uint8Array> {
  const expected = await tensorsAt(`${GOLDEN}nf4/expected.safetensors`);
  const inputs: TensorData[] = [];
  for (const name of Object.keys(await nf4Cases())) {
    const { dtype, shape } = expected.info(`${name}.input`);
    inputs.push({ name, dtype, shape, data: await expected.readBytes(`${name}.input`) });
  }
  return writeSafetensors(inLibraryOrder(inputs));
}

/** `inspect nf4`: bytes exact outside the elements that the fixture lists as ambiguous. */
export async function expectNf4(out: Uint8Array | undefined, double: boolean): Promise<void> {
  const cases = await nf4Cases();
  const names = Object.keys(cases);
  expect(names).toHaveLength(12);
  const expected = await tensorsAt(`${GOLDEN}nf4/expected.safetensors`);
  const actual = await tensorsOf(out);
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
    const excusedBlocks = new Set(double ? cases[name]!['ambiguous_absmax_within_1e-3_gap_of_a_nested_boundary'] : []);
    const values = await actual.readNumbers(`${name}.dequantized`);
    const theirs = await expected.readNumbers(`${name}.${kind}.dequantized`);
    for (let i = 0; i < count; i++) {
      if (excused.has(i) || excusedBlocks.has(Math.floor(i / 64))) continue;
      // Exact; what bitsandbytes rounds to bf16 in the middle of double quantisation, within 2 units of its last place.
      const allowed = double && dtype === 'bf16' ? Math.abs(theirs[i]!) * 2 ** -7 : 0;
      expect(Math.abs(values[i]! - theirs[i]!), `${name} value ${i}`).toBeLessThanOrEqual(allowed);
    }
    if (!double) {
      const absmax = await actual.readF32(`${name}.absmax`);
      expect([...absmax], name).toEqual([...(await expected.readF32(`${name}.single.absmax`))]);
    } else {
      for (const part of ['offset', 'nested_absmax']) {
        const scales = await actual.readF32(`${name}.${part}`);
        expect([...scales], `${name} ${part}`).toEqual([...(await expected.readF32(`${name}.double.${part}`))]);
      }
      expect((await actual.readF32(`${name}.nested_quant_map`)).length).toBe(256);
    }
  }
}
