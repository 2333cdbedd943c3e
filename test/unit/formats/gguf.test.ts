// Claims about the container (formats/gguf.ts) and about adapters (formats/ggufAdapter.ts), read back by a reader that was
// written from the specification alone, and by Hugging Face's own where it is installed. Names and hyperparameters are
// ggufModel.test.ts.
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeGguf, type GgufMetadata, type GgufTensor, type GgufValue } from '../../../src/formats/gguf';
import { factorBytes, ggufAdapter } from '../../../src/formats/ggufAdapter';
import { ggufArchitecture } from '../../../src/formats/ggufModel';
import type { AdapterFile } from '../../../src/formats/peft';
import { encodeFloats } from '../../../src/formats/tensorBytes';
import { anyText, expectRefusal } from './files';
import { collect, elementsOf, readGguf } from './ggufReader';

type Tensor = GgufTensor & { data: Float32Array };

async function* bytesOf({ data, dtype }: Tensor): AsyncGenerator<Uint8Array> {
  const bytes = encodeFloats(data, dtype);
  const half = Math.floor(bytes.byteLength / 2);
  yield await Promise.resolve(bytes.subarray(0, half));
  yield bytes.subarray(half);
}

const written = (metadata: GgufMetadata, tensors: readonly Tensor[] = []): Promise<Uint8Array> =>
  collect(writeGguf(metadata, tensors, bytesOf).parts());

const EVERYTHING = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'llama' }],
  ['a.u32', { type: 'u32', value: 4_294_967_295 }],
  ['a.i32', { type: 'i32', value: -2_147_483_648 }],
  ['a.f32', { type: 'f32', value: 1e-5 }],
  ['a.yes', { type: 'bool', value: true }],
  ['a.no', { type: 'bool', value: false }],
  ['b.strings', { type: 'strings', value: ['', 'é', '😀 "x"'] }],
  ['b.i32s', { type: 'i32s', value: [1, -1] }],
  ['b.f32s', { type: 'f32s', value: [0.5, -1000] }],
]);
const TENSORS: Tensor[] = [
  { name: 'token_embd.weight', dtype: 'f16', shape: [3, 5], data: Float32Array.from({ length: 15 }, (_, i) => i / 8) },
  { name: 'output_norm.weight', dtype: 'f32', shape: [5], data: Float32Array.of(1, 2, 3, 4, 5) },
  { name: 'blk.0.ffn_up.weight', dtype: 'bf16', shape: [2, 5], data: new Float32Array(10).fill(-0.75) },
];

describe('the container', () => {
  it('holds every type of value, and tensors at aligned places with their sizes the other way round', async () => {
    const { metadata, tensors } = readGguf(await written(EVERYTHING, TENSORS));
    const types = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, strings: 9, i32s: 9, f32s: 9 };
    for (const [key, { type, value }] of EVERYTHING) {
      const expected = type === 'f32' ? Math.fround(value) : value;
      expect(metadata.get(key), key).toEqual({ type: types[type], value: expected });
    }
    expect([...tensors.keys()]).toEqual(TENSORS.map(({ name }) => name));
    expect([...tensors.values()].map(({ dims, type }) => [dims, type])).toEqual([
      [[5, 3], 1],
      [[5], 0],
      [[5, 2], 30],
    ]);
    for (const { name, data } of TENSORS) expect([...elementsOf(tensors.get(name)!)]).toEqual([...data]);
  });

  it('is as long as it says beforehand, and the same each time', async () => {
    const parts = writeGguf(EVERYTHING, TENSORS, bytesOf);
    const [once, again] = [await collect(parts.parts()), await collect(parts.parts())];
    expect(once.byteLength).toBe(parts.totalBytes);
    expect(Buffer.from(once).equals(again)).toBe(true);
    expect(parts.header.byteLength % 32).toBe(0);
  });

  it('any texts and numbers read back as given, also many of them', async () => {
    const values = fc.record({
      texts: fc.array(anyText(), { maxLength: 40 }),
      numbers: fc.array(fc.nat(), { maxLength: 9 }),
    });
    await fc.assert(
      fc.asyncProperty(values, fc.nat(20_000), async ({ texts, numbers }, many) => {
        const strings = [...texts, ...Array.from({ length: many % 9_000 }, (_, i) => `token ${i}`)];
        const metadata = new Map<string, GgufValue>([
          ['a', { type: 'strings', value: strings }],
          ['b', { type: 'i32s', value: numbers }],
        ]);
        const read = readGguf(await written(metadata)).metadata;
        expect(read.get('a')!.value).toEqual(strings);
        expect(read.get('b')!.value).toEqual(numbers);
      }),
      { numRuns: 15 },
    );
  });

  const refused: [string, GgufMetadata, Tensor[], string][] = [
    ['a key with capitals', new Map([['General.name', { type: 'bool', value: true }]]), [], 'General.name'],
    ['a key without a word', new Map([['general..name', { type: 'bool', value: true }]]), [], 'general..name'],
    ['a number that is no u32', new Map([['a', { type: 'u32', value: -1 }]]), [], 'got -1'],
    ['a number that is no whole one', new Map([['a', { type: 'i32s', value: [1, 0.5] }]]), [], 'got 0.5'],
    ['two tensors of one name', new Map(), [TENSORS[0]!, TENSORS[0]!], 'token_embd.weight'],
    ['a name of 64 bytes', new Map(), [{ ...TENSORS[0]!, name: 'x'.repeat(64) }], '63 bytes'],
    ['five dimensions', new Map(), [{ ...TENSORS[0]!, shape: [1, 1, 1, 3, 5] }], '1 to 4 sizes'],
    ['bytes that do not fit', new Map(), [{ ...TENSORS[0]!, shape: [3, 4] }], 'expected 24 bytes'],
  ];
  it.each(refused)('%s is refused', async (_, metadata, tensors, words) => {
    await expectRefusal(() => written(metadata, tensors), 'shape', words);
  });

  it('reads the same by Hugging Face’s reader (skipped where it is not installed)', async ({ skip }) => {
    const name = '@huggingface/gguf'; // a name that TypeScript does not look up
    const library = (await import(/* @vite-ignore */ name).catch(() => undefined)) as
      | {
          gguf: (
            path: string,
            options: object,
          ) => Promise<{ metadata: Record<string, unknown>; tensorInfos: object[] }>;
        }
      | undefined;
    if (library === undefined) return skip();
    const folder = mkdtempSync(join(tmpdir(), 'pupil-gguf-'));
    try {
      writeFileSync(join(folder, 'm.gguf'), await written(EVERYTHING, TENSORS));
      const { metadata, tensorInfos } = await library.gguf(join(folder, 'm.gguf'), { allowLocalFile: true });
      expect(metadata).toMatchObject({ version: 3, tensor_count: 3n, 'a.i32': -2_147_483_648, 'b.f32s': [0.5, -1000] });
      expect(metadata['b.strings']).toEqual(['', 'é', '😀 "x"']);
      expect(tensorInfos).toMatchObject([
        { name: 'token_embd.weight', shape: [5n, 3n], dtype: 1, offset: 0n },
        { name: 'output_norm.weight', shape: [5n], dtype: 0, offset: 32n },
        { name: 'blk.0.ffn_up.weight', shape: [5n, 2n], dtype: 30, offset: 64n },
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('adapters', () => {
  const Q = 'model.layers.0.self_attn.q_proj';
  const UP = 'model.layers.0.mlp.up_proj';
  const factor = (rows: number, columns: number): { shape: [number, number]; data: Float32Array } => ({
    shape: [rows, columns],
    data: Float32Array.from({ length: rows * columns }, (_, i) => i + 1),
  });
  const adapter = (changes: Partial<AdapterFile> = {}): AdapterFile => ({
    name: 'phase-2',
    r: 2,
    alpha: 4,
    dropout: 0,
    rsLora: false,
    targetModules: [],
    baseModel: '',
    tensors: new Map([
      [Q, { a: factor(2, 3), b: factor(4, 2) }],
      [UP, { a: factor(1, 3), b: factor(4, 1), alpha: 8 }],
    ]),
    ...changes,
  });
  const made = (file: AdapterFile) => ggufAdapter(ggufArchitecture({ modelType: 'llama' }), file, 4, 'f32');

  it('names, ranks and sizes; an alpha of its own goes into B; rows of q are rearranged', async () => {
    const { metadata, tensors, notes } = made(adapter());
    const file = readGguf(await collect(writeGguf(metadata, tensors, factorBytes).parts()));
    expect(Object.fromEntries([...file.metadata].map(([key, { value }]) => [key, value]))).toEqual({
      'general.architecture': 'llama',
      'general.type': 'adapter',
      'general.name': 'phase-2',
      'general.quantization_version': 2,
      'adapter.type': 'lora',
      'adapter.lora.alpha': 4,
    });
    expect([...file.tensors].map(([name, { dims }]) => [name, dims])).toEqual([
      ['blk.0.attn_q.weight.lora_a', [3, 2]],
      ['blk.0.attn_q.weight.lora_b', [2, 4]],
      ['blk.0.ffn_up.weight.lora_a', [3, 1]],
      ['blk.0.ffn_up.weight.lora_b', [1, 4]],
    ]);
    const values = (name: string): number[] => [...elementsOf(file.tensors.get(name)!)];
    expect(values('blk.0.attn_q.weight.lora_b')).toEqual([1, 2, 5, 6, 3, 4, 7, 8]);
    // scale 8/1, which the file's 4/1 is half of
    expect(values('blk.0.ffn_up.weight.lora_b')).toEqual([2, 4, 6, 8]);
    expect(notes).toEqual([expect.stringContaining(`the scale of 1 others is in their B (${UP})`) as string]);
  });

  it('rsLoRA is an alpha of √R times as much', () => {
    const tensors = new Map([[Q, { a: factor(2, 3), b: factor(4, 2) }]]);
    const { metadata, notes, tensors: out } = made(adapter({ rsLora: true, tensors }));
    expect(metadata.get('adapter.lora.alpha')).toEqual({ type: 'f32', value: 4 * Math.SQRT2 });
    expect([...out[1]!.data].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(notes).toEqual([expect.stringContaining('rsLoRA') as string]);
  });

  it('values that f16 cannot hold are refused', async () => {
    const large = factor(4, 2);
    large.data[3] = 1e6;
    const { metadata, tensors } = ggufAdapter(
      ggufArchitecture({ modelType: 'llama' }),
      adapter({ tensors: new Map([[UP, { a: factor(2, 3), b: large }]]) }),
      4,
      'f16',
    );
    const file = collect(writeGguf(metadata, tensors, factorBytes).parts());
    await expectRefusal(() => file, 'checkpoint', 'lora_b', 'element 3 is 1000000', 'f16');
  });
});
