// exportGguf.test.ts: what `export --format gguf` and `gguf-adapter` write, computed by a forward pass that knows nothing but
// the file (ggufForward.ts), gives the logits of the student and adapter they were made of. Through the session.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { writePeftAdapter, type AdapterFile } from '../../src/formats/peft';
import { inLibraryOrder, writeSafetensors } from '../../src/formats/safetensorsWrite';
import { encodeI64 } from '../../src/formats/tensorBytes';
import { nodeGpu } from '../../src/gpu/node';
import { linearShape } from '../../src/model/linearNames';
import { parameterShapes } from '../../src/model/parameterShapes';
import type { ExportRequest, ExportSummary } from '../../src/session/protocol';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import { readGguf, type ReadGguf } from '../unit/formats/ggufReader';
import { tensorsOf } from './compare';
import { GOLDEN, tensorsAt } from './files';
import { ggufLogits } from './ggufForward';

let session: Session;
beforeAll(async () => {
  session = new Session(await nodeGpu(), new MemoryRunStore());
  await session.open({ tier: 'f32' });
});

type Files = Record<string, Uint8Array>;

async function exported(
  files: Files,
  format: ExportRequest['format'],
  dtype?: ExportRequest['dtype'],
): Promise<{ out: Files; summary: ExportSummary }> {
  const out: Files = {};
  const summary = await session.exportStudent({
    files: { kind: 'memory', files },
    out: { kind: 'memory', files: out },
    student: 'student',
    adapter: 'adapter',
    format,
    ...(dtype === undefined ? {} : { dtype }),
  });
  return { out, summary };
}

async function goldenFiles(): Promise<Files> {
  const from = async (folder: string, to: string, names: string[]): Promise<[string, Uint8Array][]> =>
    Promise.all(
      names.map(async (name) => [`${to}/${name}`, await readFile(join(GOLDEN, folder, name))] as const),
    ) as Promise<[string, Uint8Array][]>;
  return Object.fromEntries([
    ...(await from('llama-tiny', 'student', ['config.json', 'model.safetensors'])),
    ...(await from('lora-llama-tiny/adapter_init', 'adapter', ['adapter_config.json', 'adapter_model.safetensors'])),
  ]);
}

/** Sequences of the golden batch with PEFT's logits for student and adapter. */
async function goldenLogits(): Promise<{ ids: number[]; logits: Float32Array }[]> {
  const expected = await tensorsAt(join(GOLDEN, 'lora-llama-tiny/expected.safetensors'));
  const [ids, mask] = [await expected.readNumbers('input_ids'), await expected.readNumbers('attention_mask')];
  const logits = await expected.readF32('logits');
  const [B, T] = expected.info('input_ids').shape as [number, number];
  const V = logits.length / (B * T);
  return Array.from({ length: B }, (_, b) => {
    const length = mask.slice(b * T, (b + 1) * T).reduce((sum, value) => sum + value, 0);
    return { ids: [...ids.slice(b * T, b * T + length)], logits: logits.slice(b * T * V, (b * T + length) * V) };
  });
}

/** Largest difference over all rows. */
function distance(rows: readonly Float64Array[], expected: Float32Array): number {
  const flat = rows.flatMap((row) => [...row]);
  expect(flat.length).toBe(expected.length);
  return flat.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
}

describe('a golden student with its adapter', () => {
  it('as GGUF in f32 has PEFT’s logits', async () => {
    const { out, summary } = await exported(await goldenFiles(), 'gguf', 'f32');
    expect(summary.written).toEqual(['model.gguf']);
    expect(summary.merged).toEqual({ quantize: 'none', dtype: 'f32', roundingShare: 0 });
    const file = readGguf(out['model.gguf']!);
    for (const { ids, logits } of await goldenLogits())
      expect(distance(ggufLogits(file, ids), logits)).toBeLessThan(1e-4);
    // The same without the rows of q and k rearranged is far off: the test would see it.
    const wrong: ReadGguf = { ...file, metadata: new Map(file.metadata) };
    const [{ ids, logits }] = (await goldenLogits()) as [{ ids: number[]; logits: Float32Array }];
    for (const [key, value] of file.metadata) wrong.metadata.set(key.replace(/^llama\./, 'qwen2.'), value);
    wrong.metadata.set('general.architecture', { type: 8, value: 'qwen2' });
    expect(distance(ggufLogits(wrong, ids), logits)).toBeGreaterThan(1e-2);
  });

  it('in f16 (the standard) has them within rounding, norms in f32', async () => {
    const { out, summary } = await exported(await goldenFiles(), 'gguf');
    expect(summary.merged!.dtype).toBe('f16');
    expect(summary.notes.join()).toContain('rounding to f16');
    const file = readGguf(out['model.gguf']!);
    expect(file.tensors.get('blk.0.attn_q.weight')!.type).toBe(1);
    expect(file.tensors.get('blk.1.ffn_norm.weight')!.type).toBe(0);
    expect(file.metadata.get('general.file_type')).toEqual({ type: 4, value: 1 });
    for (const { ids, logits } of await goldenLogits()) {
      const off = distance(ggufLogits(file, ids), logits);
      expect(off).toBeLessThan(5e-3); // weights rounded to 11 bits
      expect(off).toBeGreaterThan(1e-6); // and they are
    }
  });

  it('as an adapter beside the bare student has them', async () => {
    const files = await goldenFiles();
    const { out, summary } = await exported(files, 'gguf-adapter');
    expect(summary).toEqual({ written: ['adapter.gguf'], notes: [] });
    const adapter = readGguf(out['adapter.gguf']!);
    expect(adapter.metadata.get('adapter.lora.alpha')).toEqual({ type: 6, value: 16 });
    const bare = readGguf((await exported({ ...files, ...nothing(files) }, 'gguf', 'f32')).out['model.gguf']!);
    for (const { ids, logits } of await goldenLogits()) {
      expect(distance(ggufLogits(bare, ids, adapter), logits)).toBeLessThan(1e-4);
      expect(distance(ggufLogits(bare, ids), logits)).toBeGreaterThan(1e-2);
    }
  });
});

/** An adapter that changes nothing, in place of the one there. */
function nothing(files: Files): Files {
  const config = parseModelConfig(JSON.parse(new TextDecoder().decode(files['student/config.json'])));
  const [O, C] = linearShape(config, 'q_proj');
  return peftFiles({
    r: 1,
    alpha: 1,
    dropout: 0,
    rsLora: false,
    targetModules: ['q_proj'],
    baseModel: '',
    tensors: new Map(
      Array.from({ length: config.layers }, (_, layer) => [
        `model.layers.${layer}.self_attn.q_proj`,
        { a: { shape: [1, C], data: new Float32Array(C) }, b: { shape: [O, 1], data: new Float32Array(O) } },
      ]),
    ),
  });
}

function peftFiles(adapter: AdapterFile): Files {
  return Object.fromEntries(
    Object.entries(writePeftAdapter(adapter)).map(([name, bytes]) => [`adapter/${name}`, bytes]),
  );
}

/** A random student of awkward sizes: grouped heads, a head size that is not C/H, tied embeddings. */
function awkwardFiles(): Files {
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 30,
    intermediate_size: 37,
    num_hidden_layers: 2,
    num_attention_heads: 6,
    num_key_value_heads: 2,
    head_dim: 6,
    vocab_size: 71,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 500,
    hidden_act: 'silu',
    tie_word_embeddings: true,
  };
  const { matrices, vectors } = parameterShapes(parseModelConfig(config));
  const tensors = [...matrices, ...vectors].map(({ name, shape }) => {
    const random = new RandomStream(11, name);
    const isNorm = shape.length === 1;
    const count = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length: count }, () => (isNorm ? 1 : 0) + 0.2 * random.nextNormal());
    return { name, dtype: 'f32' as const, shape, data };
  });
  return {
    'student/config.json': new TextEncoder().encode(JSON.stringify(config)),
    'student/model.safetensors': writeSafetensors(inLibraryOrder(tensors), { format: 'pt' }),
  };
}

/** Ranks and alphas of their own for some modules, with rsLoRA or without. */
function patternedAdapter(rsLora: boolean): AdapterFile {
  const config = parseModelConfig(JSON.parse(new TextDecoder().decode(awkwardFiles()['student/config.json'])));
  const tensors: AdapterFile['tensors'] = new Map();
  for (const layer of [0, 1]) {
    for (const name of ['q_proj', 'k_proj', 'up_proj'] as const) {
      const [O, C] = linearShape(config, name);
      const rank = name === 'k_proj' ? 2 : 3;
      const block = name === 'up_proj' ? 'mlp' : 'self_attn';
      const path = `model.layers.${layer}.${block}.${name}`;
      const random = new RandomStream(5, path);
      const draw = (count: number): Float32Array =>
        Float32Array.from({ length: count }, () => 0.3 * random.nextNormal());
      tensors.set(path, {
        a: { shape: [rank, C], data: draw(rank * C) },
        b: { shape: [O, rank], data: draw(O * rank) },
        ...(name === 'up_proj' ? { alpha: 7 } : {}),
      });
    }
  }
  return { r: 3, alpha: 4, dropout: 0, rsLora, targetModules: ['q_proj', 'k_proj', 'up_proj'], baseModel: '', tensors };
}

const IDS = [3, 70, 1, 1, 42, 17, 8, 63, 29];

/** This engine's logits of the student, with the adapter beside it. */
async function engineLogits(files: Files): Promise<Float32Array> {
  const mask = encodeI64(IDS.map(() => 1));
  const batch = writeSafetensors([
    { name: 'input_ids', dtype: 'i64', shape: [1, IDS.length], data: encodeI64(IDS) },
    { name: 'attention_mask', dtype: 'i64', shape: [1, IDS.length], data: mask },
  ]);
  const out: Files = {};
  await session.inspect({
    kind: 'logits',
    files: { kind: 'memory', files: { ...files, batch } },
    out: { kind: 'memory', files: out },
    options: { student: 'student', adapter: 'adapter', batch: 'batch', out: 'logits' },
  });
  return (await tensorsOf(out['logits'])).readF32('logits');
}

describe.each([true, false])(
  'ranks and alphas of their own, rsLoRA %s, grouped heads of another size than C/H',
  (rsLora) => {
    it('merged and as an adapter: the engine’s logits', async () => {
      const files = { ...awkwardFiles(), ...peftFiles(patternedAdapter(rsLora)) };
      const logits = await engineLogits(files);
      const merged = readGguf((await exported(files, 'gguf', 'f32')).out['model.gguf']!);
      expect(merged.tensors.has('output.weight')).toBe(false); // tied
      expect(merged.tensors.get('blk.0.attn_k.weight')!.dims).toEqual([30, 12]);
      expect(distance(ggufLogits(merged, IDS), logits)).toBeLessThan(1e-4);
      const { out, summary } = await exported(files, 'gguf-adapter');
      // up_proj has an alpha of its own; with rsLoRA a rank of its own takes another alpha, too.
      expect(summary.notes.join(' ')).toContain(`the scale of ${rsLora ? 4 : 2} others is in their B`);
      const bare = readGguf((await exported({ ...files, ...nothing(files) }, 'gguf', 'f32')).out['model.gguf']!);
      const adapter = readGguf(out['adapter.gguf']!);
      expect(distance(ggufLogits(bare, IDS, adapter), logits)).toBeLessThan(1e-4);
      expect(distance(ggufLogits(bare, IDS), logits)).toBeGreaterThan(1e-2);
    });
  },
);
