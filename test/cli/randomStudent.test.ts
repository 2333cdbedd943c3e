// randomStudent.test.ts: scripts/randomStudent.mjs as a process on published shapes made small: what it writes is a checkpoint
// of that family, whole, in shards, in float16 or bfloat16, and its list of tensors is that of the published models and of
// the fixtures of PyTorch. No GPU; what a student computes from such files is test/golden/families.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SHAPES, tensorsOf, type Config } from '../../scripts/studentShapes.mjs';
import type { Checkpoint } from '../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { parameterShapes } from '../../src/model/parameterShapes';
import { checkpointAt, jsonAt } from '../golden/files';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FAMILIES = join(ROOT, 'test/fixtures/families');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-random-student-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function randomStudent(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'scripts/randomStudent.mjs'), ...args], (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err });
    });
  });
}

/** The proportions and features of a published config in few numbers: 2 layers, key heads shared as there. */
function small(config: Config): Config {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads = heads } = config;
  const groups = Math.min(2, kvHeads);
  return {
    ...config,
    hidden_size: (groups * heads * 4) / kvHeads,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: (groups * heads) / kvHeads,
    num_key_value_heads: groups,
    vocab_size: 120,
    max_position_embeddings: 64,
    bos_token_id: 1,
    eos_token_id: 2,
    ...(config.head_dim === undefined ? {} : { head_dim: 6 }),
  };
}

const shapesByName = (tensors: readonly { name: string; shape: readonly number[] }[]): Map<string, number[]> =>
  new Map(tensors.map(({ name, shape }) => [name, [...shape]]));

/** As Hugging Face shows them; of tied models, with the one matrix counted once. */
const PUBLISHED_PARAMETERS = {
  'smollm2-135m': 134_515_008,
  'qwen2.5-0.5b': 494_032_768,
  'qwen3-0.6b': 596_049_920,
  'tinyllama-1.1b': 1_100_048_384,
  'llama-3.2-1b': 1_235_814_400,
  'gemma-2-2b': 2_614_341_888,
  'llama-2-7b': 6_738_415_616,
  'mistral-7b': 7_241_732_096,
  'llama-2-13b': 13_015_864_320,
};

it('nine published shapes have as many parameters as the models', () => {
  const counts = Object.entries(SHAPES).map(([name, config]) => [
    name,
    tensorsOf(config).reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0),
  ]);
  expect(Object.fromEntries(counts)).toEqual(PUBLISHED_PARAMETERS);
});

const fixtures = readdirSync(FAMILIES).filter((name) => existsSync(join(FAMILIES, name, 'config.json')));
it.each(fixtures)('the tensors of %s are those that the reference of PyTorch made', async (name) => {
  const checkpoint = await checkpointAt(join(FAMILIES, name));
  const made = checkpoint.tensorNames.map((tensor) => ({ name: tensor, shape: checkpoint.info(tensor).shape }));
  const planned = tensorsOf(await jsonAt<Config>(join(FAMILIES, name, 'config.json')));
  expect(shapesByName(planned)).toEqual(shapesByName(made));
});

/** A checkpoint of a published config made small. */
async function make(name: string, label: string, ...args: string[]): Promise<Checkpoint> {
  const source = join(folder, `${name}.json`);
  await writeFile(source, JSON.stringify(small(SHAPES[name]!)));
  const out = join(folder, `${name}-${label}`);
  const ended = await randomStudent('--config', source, '--out', out, ...args);
  expect(ended, ended.err).toMatchObject({ code: 0 });
  return checkpointAt(out);
}

it.each(Object.keys(SHAPES))(
  '%s, made small, holds in shards every tensor that a student of its config needs: normals of 0.02, norms that scale by 1',
  async (name) => {
    const config = small(SHAPES[name]!);
    const checkpoint = await make(name, 'published', '--shard-bytes', '3000');
    expect(checkpoint.files.length).toBeGreaterThan(2);
    expect(checkpoint.config).toEqual(config);
    const stored = checkpoint.tensorNames.map((tensor) => ({ name: tensor, ...checkpoint.info(tensor) }));
    const dtype = config['torch_dtype'] === 'float16' ? 'f16' : 'bf16';
    expect(new Set(stored.map((tensor) => tensor.dtype))).toEqual(new Set([dtype]));
    for (const tensor of checkpoint.tensorNames) {
      const values = await checkpoint.readF32(tensor);
      if (tensor.endsWith('norm.weight')) {
        expect(new Set(values), tensor).toEqual(new Set([config.model_type === 'gemma2' ? 0 : 1]));
      } else {
        const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
        expect(Math.abs(deviation - 0.02), tensor).toBeLessThan(0.012);
      }
    }
    const needed = Object.values(parameterShapes(parseModelConfig(checkpoint.config))).flat();
    expect(shapesByName(stored)).toEqual(shapesByName(needed));
  },
);

it('another dtype is another rounding of the same draw, another seed another draw, fewer layers fewer tensors', async () => {
  const name = 'qwen2.5-0.5b';
  const half = await make(name, 'half', '--dtype', 'float16');
  const brain = await make(name, 'brain', '--dtype', 'bfloat16', '--layers', '1');
  const other = await make(name, 'seed', '--dtype', 'float16', '--seed', '1');
  expect(half.files).toEqual(['model.safetensors']);
  expect(half.config['torch_dtype']).toBe('float16');
  expect(brain.config).toMatchObject({ torch_dtype: 'bfloat16', num_hidden_layers: 1 });
  expect(brain.tensorNames).toEqual(half.tensorNames.filter((tensor) => !tensor.startsWith('model.layers.1.')));
  let drawn = 0;
  for (const tensor of brain.tensorNames.filter((one) => !one.endsWith('norm.weight'))) {
    const values = await half.readF32(tensor);
    const rounded = await brain.readF32(tensor);
    // 8 significant bits against 11; below 2^-14 a half has fewer.
    values.forEach((x, i) => expect(Math.abs(rounded[i]! - x)).toBeLessThanOrEqual(Math.abs(x) * 2 ** -8 + 2 ** -24));
    expect(Array.from(rounded), tensor).not.toEqual(Array.from(values));
    expect(Array.from(await other.readF32(tensor)), tensor).not.toEqual(Array.from(values));
    drawn++;
  }
  expect(drawn).toBe(1 + 7 + 3); // embedding, seven linear layers, three biases
});

describe('randomStudent refuses', () => {
  it.each([
    ['neither shape nor config', [], /expected one of --shape and --config/],
    ['both', ['--shape', 'mistral-7b', '--config', 'x.json'], /expected one of --shape and --config/],
    ['an unknown shape', ['--shape', 'gpt-9'], /--shape: expected one of those below, got gpt-9/],
    [
      'a dtype that it cannot write',
      ['--shape', 'mistral-7b', '--dtype', 'float32'],
      /--dtype: expected float16 or bf/,
    ],
    ['a config that is not there', ['--config', 'nowhere.json'], /--config: expected a config.json, nowhere.json/],
  ])('%s', async (_, args, message) => {
    const out = join(folder, 'refused');
    const ended = await randomStudent(...args, '--out', out);
    expect(ended.code).toBe(2);
    expect(ended.err).toMatch(message);
    expect(existsSync(out)).toBe(false);
  });

  it('a config of a family that it does not know, sizes that are none, and a folder with files', async () => {
    const config = join(folder, 'bad.json');
    const run = async (value: object, ...args: string[]): Promise<string> => {
      await writeFile(config, JSON.stringify(value));
      const ended = await randomStudent('--config', config, '--out', join(folder, 'bad'), ...args);
      expect(ended.code).toBe(2);
      return ended.err;
    };
    expect(await run({ model_type: 'gpt2' })).toMatch(/expected model_type llama or mistral.*has "gpt2"/);
    const base = small(SHAPES['mistral-7b']!);
    expect(await run({ ...base, vocab_size: '120' })).toMatch(/vocab_size: expected a whole number from 1.*has "120"/);
    expect(await run({ ...base, hidden_size: 33 })).toMatch(/expected head_dim, or a hidden_size divisible by/);
    const layerTypes = { ...base, layer_types: ['full_attention', 'full_attention'] };
    expect(await run(layerTypes, '--layers', '3')).toMatch(/--layers: expected at most 2/);
    const full = await randomStudent('--config', config, '--out', folder);
    expect(full.err).toMatch(/--out: expected an empty folder/);
    expect(await readFile(config, 'utf8')).toContain('layer_types');
  });
});
