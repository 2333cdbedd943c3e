// exportFamilies.test.ts: students of every family exported and computed again: merged safetensors by this engine (whose
// logits of student and adapter families.test.ts holds against PyTorch), GGUF by a forward pass that knows nothing but the
// file (ggufForward.ts). Every stored tensor goes along, and what llama.cpp would compute otherwise is refused or told.
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeF32Into } from '../../src/formats/tensorBytes';
import { nodeGpu } from '../../src/gpu/node';
import type { ExportRequest, ExportSummary } from '../../src/session/protocol';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import { readGguf } from '../unit/formats/ggufReader';
import { tensorsOf } from './compare';
import { changed, checkpointIn, configIn, familyFiles, NAMES_HERE, storedTensors, type Files } from './familyFiles';
import { ggufLogits } from './ggufForward';

let session: Session;
beforeAll(async () => {
  session = new Session(await nodeGpu(), new MemoryRunStore());
  await session.open({ tier: 'f32' });
});

/** Writes into `to`/ of the same files. */
async function exported(
  files: Files,
  to: string,
  options: Pick<ExportRequest, 'format' | 'dtype' | 'quantize'>,
): Promise<ExportSummary> {
  const out: Files = {};
  const summary = await session.exportStudent({
    files: { kind: 'memory', files },
    out: { kind: 'memory', files: out },
    student: 'student',
    adapter: 'adapter',
    ...options,
  });
  for (const [path, bytes] of Object.entries(out)) files[`${to}/${path}`] = bytes;
  return summary;
}

/** Rows of the batch that belong to tokens: ids and logits of each sequence. */
async function logitsOf(
  files: Files,
  options: Record<string, string>,
): Promise<{ ids: number[]; logits: Float32Array }[]> {
  const out: Files = {};
  await session.inspect({
    kind: 'logits',
    files: { kind: 'memory', files },
    out: { kind: 'memory', files: out },
    options: { ...options, batch: 'batch', out: 'logits' },
  });
  const batch = await tensorsOf(files['batch']);
  const [B, T] = batch.info('input_ids').shape as [number, number];
  const [ids, mask] = [await batch.readNumbers('input_ids'), await batch.readNumbers('attention_mask')];
  const logits = await (await tensorsOf(out['logits'])).readF32('logits');
  const V = logits.length / (B * T);
  return Array.from({ length: B }, (_, b) => {
    const length = mask.slice(b * T, (b + 1) * T).reduce((sum, value) => sum + value, 0);
    return { ids: [...ids.slice(b * T, b * T + length)], logits: logits.slice(b * T * V, (b * T + length) * V) };
  });
}
type Sequences = Awaited<ReturnType<typeof logitsOf>>;

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const off = Math.abs(a[i]! - b[i]!);
    most = Math.max(most, Number.isNaN(off) ? Infinity : off);
  }
  return most;
}
const apart = (a: Sequences, b: Sequences): number =>
  Math.max(...a.map(({ logits }, i) => distance(logits, b[i]!.logits)));

/** The adapter with zeros in all its tensors. */
function silent(files: Files): Files {
  const path = 'adapter/adapter_model.safetensors';
  const bytes = files[path]!.slice();
  bytes.fill(0, 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)));
  return { [path]: bytes };
}

/** Largest distance of the file's logits, over rows from `first` to `end` of each sequence. */
function fileApart(sequences: Sequences, first: number, end: number, logitsOfFile: (ids: number[]) => Float64Array[]) {
  const distances = sequences
    .filter(({ ids }) => ids.length > first)
    .map(({ ids, logits }) => {
      const rows = logitsOfFile(ids.slice(0, end));
      const V = logits.length / ids.length;
      return distance(
        rows.slice(first).flatMap((row) => [...row]),
        logits.subarray(first * V, rows.length * V),
      );
    });
  return Math.max(...distances);
}

describe.each(NAMES_HERE)('%s', (name) => {
  it('merged in f32 answers as student and adapter; as stored, within rounding, and with every tensor and key', async () => {
    const files = familyFiles(name);
    const trained = await logitsOf(files, { student: 'student', adapter: 'adapter' });
    const exact = await exported(files, 'exact', { format: 'merged', dtype: 'f32' });
    expect(exact).toMatchObject({ notes: [], merged: { quantize: 'none', dtype: 'f32', roundingShare: 0 } });
    const off = apart(await logitsOf(files, { student: 'exact' }), trained);
    expect(off).toBeLessThan(1e-4);

    const kept = await exported(files, 'kept', { format: 'merged' });
    const effect = apart(await logitsOf(files, { student: 'student' }), trained);
    expect(effect).toBeGreaterThan(1e-2);
    const rounding = apart(await logitsOf(files, { student: 'kept' }), trained);
    expect(rounding).toBeLessThanOrEqual(10 * kept.merged!.roundingShare * effect + 1e-4);

    const before = await storedTensors(files);
    const adapted = /(q|k|v|o|gate|up|down)_proj\.weight$/;
    for (const folder of ['exact', 'kept']) {
      const after = await checkpointIn(files, folder);
      expect([...after.tensorNames].sort()).toEqual(before.map((tensor) => tensor.name).sort());
      for (const { name: tensor, dtype, shape, data } of before) {
        expect(after.info(tensor)).toMatchObject({ dtype: folder === 'exact' ? 'f32' : dtype, shape });
        const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
        decodeF32Into(values, 0, data as Uint8Array, dtype);
        const moved = distance(await after.readF32(tensor), values);
        if (adapted.test(tensor)) expect(moved, tensor).toBeGreaterThan(0);
        else expect(moved, tensor).toBe(0);
      }
      const [{ raw, ...config }, { raw: source, ...wanted }] = [await configIn(files, folder), await configIn(files)];
      expect(config).toEqual(wanted);
      const dtypes = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };
      const { dtype: _, ...keys } = source;
      expect(raw).toEqual({ ...keys, torch_dtype: dtypes[folder === 'exact' ? 'f32' : kept.merged!.dtype] });
    }
  });
});

/** What llama.cpp computes of each fixture, as it is or with what it cannot say taken away. */
const NO_BIASES = { attention_bias: false };
const SAYABLE: Record<string, Record<string, unknown>> = {
  'qwen3-bias-window': NO_BIASES,
  'gemma2-tied': { query_pre_attn_scalar: 24 },
  'gemma2-published-caps': NO_BIASES,
};

describe.each(NAMES_HERE)('%s as GGUF', (name) => {
  it('has the logits of student and adapter: merged, in f16 within rounding, and as an adapter beside the bare student', async () => {
    const keys = SAYABLE[name];
    const source = familyFiles(name);
    if (keys !== undefined) {
      await expect(exported(source, 'gguf', { format: 'gguf' })).rejects.toMatchObject({
        code: 'config',
        message: expect.stringMatching(/export: GGUF: (attention_bias|query_pre_attn_scalar): .*llama\.cpp/) as string,
      });
    }
    const dropped = keys === NO_BIASES;
    const files =
      keys === undefined
        ? source
        : await changed(source, keys, (one) => (dropped && one.name.endsWith('.bias') ? [] : [one]));
    const config = await configIn(files);
    const trained = await logitsOf(files, { student: 'student', adapter: 'adapter' });
    const windows = config.windows.filter((window) => window !== undefined);
    const told = config.modelType !== 'gemma2' && windows.length > 0;
    const reach = told ? Math.min(...windows) : Infinity;

    const { notes } = await exported(files, 'exact', { format: 'gguf', dtype: 'f32' });
    expect(notes.some((note) => note.includes(`texts of up to ${reach} tokens only`))).toBe(told);
    const merged = readGguf(files['exact/model.gguf']!);
    const stored = (await storedTensors(files)).length;
    expect(merged.tensors.size).toBe(stored + (merged.tensors.has('rope_freqs.weight') ? 1 : 0));
    const off = fileApart(trained, 0, reach, (ids) => ggufLogits(merged, ids));
    expect(off).toBeLessThan(1e-4);
    if (told) expect(fileApart(trained, reach, Infinity, (ids) => ggufLogits(merged, ids))).toBeGreaterThan(1e-3);

    await exported(files, 'half', { format: 'gguf' });
    const half = readGguf(files['half/model.gguf']!);
    const rounding = fileApart(trained, 0, reach, (ids) => ggufLogits(half, ids));
    expect(rounding).toBeLessThan(2e-2);

    await exported(files, 'lora', { format: 'gguf-adapter' });
    const adapter = readGguf(files['lora/adapter.gguf']!);
    const bareFiles = { ...files, ...silent(files) };
    await exported(bareFiles, 'bare', { format: 'gguf', dtype: 'f32' });
    const bare = readGguf(bareFiles['bare/model.gguf']!);
    const beside = fileApart(trained, 0, reach, (ids) => ggufLogits(bare, ids, adapter));
    expect(beside).toBeLessThan(1e-4);
    expect(fileApart(trained, 0, reach, (ids) => ggufLogits(bare, ids))).toBeGreaterThan(1e-2);
  });
});
