// exportMerged.test.ts: a merged student answers as the student and adapter it was made of: over the stored weights, over
// NF4 values, and of a bnb-4bit checkpoint. Through the session, so that what is exported is loaded again.
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readFile } from 'node:fs/promises';
import { memorySource } from '../../src/formats/byteSource';
import { readPeftAdapter, writePeftAdapter } from '../../src/formats/peft';
import { writeSafetensors } from '../../src/formats/safetensorsWrite';
import { encodeFloats } from '../../src/formats/tensorBytes';
import { nodeGpu } from '../../src/gpu/node';
import type { ExportRequest, ExportSummary } from '../../src/session/protocol';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import { expectLogits, tensorsOf } from './compare';
import { GOLDEN, tensorsAt } from './files';

let session: Session;
beforeAll(async () => {
  session = new Session(await nodeGpu(), new MemoryRunStore());
  await session.open({ tier: 'f32' });
});

const STUDENT_FILES = ['config.json', 'model.safetensors'];
const ADAPTER_FILES = ['adapter_config.json', 'adapter_model.safetensors'];
const BATCH = 'lora-llama-tiny/expected.safetensors';

async function goldenFiles(student: string, adapter: string): Promise<Record<string, Uint8Array>> {
  const paths = [
    ...STUDENT_FILES.map((name) => [join(GOLDEN, student, name), `student/${name}`]),
    ...ADAPTER_FILES.map((name) => [join(GOLDEN, adapter, name), `adapter/${name}`]),
    [join(GOLDEN, BATCH), 'batch'],
  ];
  return Object.fromEntries(await Promise.all(paths.map(async ([from, to]) => [to, await readFile(from!)])));
}

async function logitsOf(files: Record<string, Uint8Array>, options: Record<string, string>): Promise<Uint8Array> {
  const out: Record<string, Uint8Array> = {};
  await session.inspect({
    kind: 'logits',
    files: { kind: 'memory', files },
    out: { kind: 'memory', files: out },
    options: { ...options, batch: 'batch', out: 'logits' },
  });
  return out['logits']!;
}

/** Exports into merged/ of the same files. */
async function merge(
  files: Record<string, Uint8Array>,
  options: Pick<ExportRequest, 'quantize' | 'dtype'>,
): Promise<ExportSummary> {
  const out: Record<string, Uint8Array> = {};
  const summary = await session.exportStudent({
    files: { kind: 'memory', files },
    out: { kind: 'memory', files: out },
    student: 'student',
    adapter: 'adapter',
    format: 'merged',
    ...options,
  });
  for (const [name, bytes] of Object.entries(out)) files[`merged/${name}`] = bytes;
  return summary;
}

/** The student in bf16, in two shards. */
async function shardedBf16(files: Record<string, Uint8Array>): Promise<Record<string, Uint8Array>> {
  const whole = await tensorsOf(files['student/model.safetensors']);
  delete files['student/model.safetensors'];
  const tensors = await Promise.all(
    whole.tensorNames.map(async (name) => ({
      name,
      dtype: 'bf16' as const,
      shape: whole.info(name).shape,
      data: encodeFloats(await whole.readF32(name), 'bf16'),
    })),
  );
  const isFirst = (name: string): boolean => name.includes('layers.0');
  const map = Object.fromEntries(tensors.map(({ name }) => [name, isFirst(name) ? 'a.safetensors' : 'b.safetensors']));
  return {
    'student/a.safetensors': writeSafetensors(tensors.filter(({ name }) => isFirst(name))),
    'student/b.safetensors': writeSafetensors(tensors.filter(({ name }) => !isFirst(name))),
    'student/model.safetensors.index.json': new TextEncoder().encode(JSON.stringify({ weight_map: map })),
  };
}

/** The adapter with the first half of its ranks in k_proj and an alpha of its own in up_proj. */
async function patterned(files: Record<string, Uint8Array>, rsLora: boolean): Promise<Record<string, Uint8Array>> {
  const file = await readPeftAdapter((path) => {
    return Promise.resolve(memorySource(path, files[`adapter/${path}`]!));
  });
  for (const [path, module] of file.tensors) {
    if (path.endsWith('up_proj')) file.tensors.set(path, { ...module, alpha: 5 });
    if (!path.endsWith('k_proj')) continue;
    const { a, b } = module;
    const rank = a.shape[0] / 2;
    file.tensors.set(path, {
      a: { shape: [rank, a.shape[1]], data: a.data.slice(0, rank * a.shape[1]) },
      b: { shape: [b.shape[0], rank], data: b.data.slice(0, b.shape[0] * rank) },
    });
  }
  const written = writePeftAdapter({ ...file, rsLora });
  return Object.fromEntries(Object.entries(written).map(([name, bytes]) => [`adapter/${name}`, bytes]));
}

async function difference(a: Uint8Array, b: Uint8Array): Promise<number> {
  const [x, y] = [await (await tensorsOf(a)).readF32('logits'), await (await tensorsOf(b)).readF32('logits')];
  expect(x.length).toBe(y.length);
  return x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0);
}

describe('a merged student', () => {
  it('over the stored weights has the logits of PEFT for student and adapter', async () => {
    const files = await goldenFiles('llama-tiny', 'lora-llama-tiny/adapter_init');
    await merge(files, {});
    const expected = await tensorsAt(join(GOLDEN, BATCH));
    const logits = await logitsOf(files, { student: 'merged' });
    const mask = await expected.readNumbers('attention_mask');
    await expectLogits(await tensorsOf(logits), expected, 'logits', mask); // 1e-4
  });

  it.each(['nf4', 'nf4-double'] as const)(
    'over %s has the logits of the student that was trained',
    async (quantize) => {
      const files = await goldenFiles('llama-tiny', 'lora-llama-tiny/adapter_final');
      const trained = await logitsOf(files, { student: 'student', quantize, adapter: 'adapter' });
      const { merged, notes } = await merge(files, { quantize });
      expect(merged).toEqual({ quantize, dtype: 'f32', roundingShare: 0 });
      expect(notes).toEqual([]);
      expect(await difference(await logitsOf(files, { student: 'merged' }), trained)).toBeLessThan(1e-4);
      // And merging over the stored weights is another student: the complaint this is about.
      await merge(files, { quantize: 'none' });
      expect(await difference(await logitsOf(files, { student: 'merged' }), trained)).toBeGreaterThan(1e-2);
    },
  );

  it('over a bnb-4bit checkpoint has the logits of that student and adapter; NF4 a second time is refused', async () => {
    const files = await goldenFiles('qlora-llama-tiny-double/hf_bnb4bit', 'qlora-llama-tiny-double/adapter_final');
    const trained = await logitsOf(files, { student: 'student', adapter: 'adapter' });
    await merge(files, {});
    const config = JSON.parse(new TextDecoder().decode(files['merged/config.json'])) as Record<string, unknown>;
    expect(config['quantization_config']).toBeUndefined();
    expect(await difference(await logitsOf(files, { student: 'merged' }), trained)).toBeLessThan(1e-4);
    await expect(merge(files, { quantize: 'nf4' })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('already quantised') as string,
    });
  });

  it.each([true, false])(
    'of a sharded bf16 student and an adapter with ranks and alphas of its own (rsLoRA %s) answers as both together',
    async (rsLora) => {
      const files = await goldenFiles('llama-tiny', 'lora-llama-tiny/adapter_final');
      Object.assign(files, await shardedBf16(files));
      Object.assign(files, await patterned(files, rsLora));
      const trained = await logitsOf(files, { student: 'student', adapter: 'adapter' });
      const { merged, notes } = await merge(files, { dtype: 'f32' }); // bf16 would round W + B·A
      expect(merged).toEqual({ quantize: 'none', dtype: 'f32', roundingShare: 0 });
      expect(notes).toEqual([]);
      expect(await difference(await logitsOf(files, { student: 'merged' }), trained)).toBeLessThan(1e-4);
      expect(await difference(await logitsOf(files, { student: 'student' }), trained)).toBeGreaterThan(1e-2);
      // Kept as stored, what is not adapted has the bytes of its shard.
      await merge(files, {});
      const kept = await tensorsOf(files['merged/model.safetensors']);
      const second = await tensorsOf(files['student/b.safetensors']);
      expect(kept.info('model.norm.weight').dtype).toBe('bf16');
      expect(await kept.readBytes('model.norm.weight')).toEqual(await second.readBytes('model.norm.weight'));
    },
  );

  it('rounded to bf16 differs by about what the note says', async () => {
    const files = await goldenFiles('llama-tiny', 'lora-llama-tiny/adapter_final');
    const trained = await logitsOf(files, { student: 'student', adapter: 'adapter' });
    const bare = await logitsOf(files, { student: 'student' });
    const { merged, notes } = await merge(files, { dtype: 'bf16' });
    const share = merged!.roundingShare;
    expect(share).toBeGreaterThan(1e-3);
    expect(notes).toEqual([expect.stringContaining('rounding to bf16 moves the weights by') as string]);
    const rounded = await difference(await logitsOf(files, { student: 'merged' }), trained);
    const effect = await difference(bare, trained);
    expect(rounded / effect).toBeGreaterThan(share / 10);
    expect(rounded / effect).toBeLessThan(share * 10);
  });
});
