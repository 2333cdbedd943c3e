// hostileFamilies.test.ts: checkpoints of the families with the tensors of their own (biases, norms of heads and branches)
// missing, of another shape, damaged, or there although config.json does not describe them: refused by name, and nothing
// stays on the GPU. What holds for every student is hostileStudents.test.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { numberToBf16, numberToF16 } from '../../src/base/dtypes';
import type { JsonObject } from '../../src/formats/jsonText';
import type { TensorData } from '../../src/formats/safetensorsWrite';
import type { Gpu } from '../../src/gpu/device';
import { Student } from '../../src/model/student';
import { freshGpu } from '../kernels/device';
import { changed, checkpointIn, familyFiles } from './familyFiles';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await freshGpu();
});
afterAll(() => gpu.destroy());

const part = (layer: number, name: string): string => `model.layers.${layer}.${name}`;
type Change = (tensor: TensorData) => TensorData[];
const of =
  (name: string, change: (tensor: TensorData) => TensorData | undefined): Change =>
  (tensor) => {
    const made = tensor.name === name ? change(tensor) : tensor;
    return made === undefined ? [] : [made];
  };
const without = (name: string): Change => of(name, () => undefined);
/** The same bytes as rows of another length. */
const shaped = (name: string, ...shape: number[]): Change =>
  of(name, (tensor) => ({
    ...tensor,
    shape,
    data: (tensor.data as Uint8Array).slice(0, 2 * shape.reduce((a, b) => a * b)),
  }));
/** A copy under another name, in front. */
const joined =
  (name: string, like: string): Change =>
  (tensor) =>
    tensor.name === like ? [tensor, { ...tensor, name }] : [tensor];
const withValue = (name: string, at: number, value: number): Change =>
  of(name, (tensor) => {
    const data = new Uint16Array((tensor.data as Uint8Array).slice().buffer);
    data[at] = tensor.dtype === 'f16' ? numberToF16(value) : numberToBf16(value);
    return { ...tensor, data };
  });

const KEY_BIAS = part(1, 'self_attn.k_proj.bias');
const OUT_BIAS = part(2, 'self_attn.o_proj.bias');
const QUERY_NORM = part(0, 'self_attn.q_norm.weight');
const BRANCH_NORM = part(2, 'post_feedforward_layernorm.weight');

const CASES: [what: string, fixture: string, keys: JsonObject, change: Change | undefined, says: string[]][] = [
  ['a bias that is missing', 'qwen2-tied', {}, without(KEY_BIAS), [KEY_BIAS]],
  [
    'a bias in the place of a shard that is missing',
    'llama-biases',
    {},
    without(part(2, 'mlp.down_proj.bias')),
    ['mlp.down_proj.bias'],
  ],
  ['a bias of another length', 'qwen2-tied', {}, shaped(KEY_BIAS, 7), [KEY_BIAS, 'expected shape [8]', 'has [7]']],
  ['a bias that is a matrix', 'qwen2-tied', {}, shaped(KEY_BIAS, 1, 8), [KEY_BIAS, 'expected shape [8]', '[1, 8]']],
  ['a NaN in a bias', 'qwen2-window', {}, withValue(KEY_BIAS, 3, NaN), [KEY_BIAS, 'element 3', 'NaN']],
  [
    'infinity in a bias of halves',
    'llama-biases',
    {},
    withValue(OUT_BIAS, 47, Infinity),
    [OUT_BIAS, 'element 47', 'Infinity'],
  ],
  [
    'a bias that qwen2 does not have',
    'qwen2-tied',
    {},
    joined(OUT_BIAS, part(0, 'input_layernorm.weight')),
    [OUT_BIAS, 'qwen2'],
  ],
  [
    'biases that config.json denies',
    'qwen3-bias-window',
    { attention_bias: false },
    undefined,
    ['_proj.bias', 'qwen3'],
  ],
  ['biases that config.json promises', 'qwen3-tied', { attention_bias: true }, undefined, ['self_attn.q_proj.bias']],
  [
    'biases of the MLP that config.json denies',
    'llama-biases',
    { mlp_bias: false },
    undefined,
    ['mlp.', 'bias', 'llama'],
  ],
  [
    'a norm of heads of another size',
    'qwen3-tied',
    {},
    shaped(QUERY_NORM, 16),
    [QUERY_NORM, 'expected shape [24]', 'has [16]'],
  ],
  [
    'a norm of heads that is missing',
    'qwen3-tied',
    {},
    without(part(2, 'self_attn.k_norm.weight')),
    ['layers.2.self_attn.k_norm'],
  ],
  ['a NaN in a norm of heads', 'qwen3-tied', {}, withValue(QUERY_NORM, 23, NaN), [QUERY_NORM, 'element 23']],
  [
    'norms of heads in a family without',
    'mistral-full',
    {},
    joined(QUERY_NORM, part(0, 'input_layernorm.weight')),
    [QUERY_NORM, 'mistral'],
  ],
  ['a branch’s norm that is missing', 'gemma2-tied', {}, without(BRANCH_NORM), [BRANCH_NORM]],
  ['infinity in a branch’s norm', 'gemma2-tied', {}, withValue(BRANCH_NORM, 0, -Infinity), [BRANCH_NORM, 'element 0']],
  [
    'a Gemma-2 that calls itself a llama',
    'gemma2-tied',
    {
      model_type: 'llama',
      architectures: ['LlamaForCausalLM'],
      hidden_act: 'silu',
      attn_logit_softcapping: null,
      final_logit_softcapping: null,
      sliding_window: null,
    },
    undefined,
    ['feedforward_layernorm', 'llama'],
  ],
];

describe.each(['none', 'nf4-double'] as const)('a checkpoint to be loaded as %s', (quantize) => {
  it.each(CASES)('with %s', async (_, fixture, keys, change, says) => {
    const sound = familyFiles(fixture);
    const files = await changed(sound, keys, change);
    const before = gpu.account.current;
    const refused = Student.load(gpu, await checkpointIn(files), { quantize });
    await expect(refused).rejects.toMatchObject({ code: 'checkpoint' });
    const { message } = await refused.then(
      () => ({ message: '' }),
      (error: Error) => error,
    );
    for (const word of says) expect(message).toContain(word);
    expect(gpu.account.current).toBe(before);
  });
});

it('the same files unchanged are taken: the changes are what is refused', async () => {
  for (const fixture of new Set(CASES.map(([, name]) => name))) {
    const student = await Student.load(gpu, await checkpointIn(await changed(familyFiles(fixture), {})), {
      quantize: 'none',
    });
    student.destroy();
  }
});
