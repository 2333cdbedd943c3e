// Claims about `export` that need no GPU: what is written and in which dtype, what keeps its bytes, what a person is told.
// That merged weights answer as the trained student did is test/golden/exportMerged.test.ts.
import { describe, expect, it } from 'vitest';
import { writeAdapterNote } from '../../../src/formats/adapterNote';
import { memorySource } from '../../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../../src/formats/checkpointIndex';
import { writePeftAdapter } from '../../../src/formats/peft';
import { inLibraryOrder, writeSafetensors } from '../../../src/formats/safetensorsWrite';
import { encodeFloats } from '../../../src/formats/tensorBytes';
import { exportStudent, type ExportJob } from '../../../src/session/exportStudent';
import { fingerprintOf } from '../../../src/session/load';
import { mergeLora } from '../../../src/session/mergedTensor';
import type { ExportSummary } from '../../../src/session/protocol';
import { openFileRoot } from '../../../src/sources/fileRoot';
import type { OpenRoot } from '../../../src/sources/openRoot';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import { parameterShapes } from '../../../src/model/parameterShapes';
import { tinyFiles } from './tinyRun';

type Files = Record<string, Uint8Array>;

const ADAPTED = 'model.layers.1.mlp.up_proj';
/** One layer of the tiny student with B·A = `step` everywhere. */
function adapterFiles(step = 0.25): Files {
  const adapter = {
    r: 2,
    alpha: 2,
    dropout: 0,
    rsLora: false,
    targetModules: ['up_proj'],
    baseModel: 'tiny',
    tensors: new Map([
      [
        ADAPTED,
        {
          a: { shape: [2, 32] as const, data: new Float32Array(64).fill(0.5) },
          b: { shape: [48, 2] as const, data: new Float32Array(96).fill(step) },
        },
      ],
    ]),
  };
  return Object.fromEntries(
    Object.entries(writePeftAdapter(adapter)).map(([name, bytes]) => [`adapter/${name}`, bytes]),
  );
}

const open = (files: Files, prefix: string): Promise<Checkpoint> =>
  openCheckpoint((name) => {
    const bytes = files[prefix + name];
    return Promise.resolve(bytes === undefined ? undefined : memorySource(name, bytes));
  });

/** The tiny student with its matrices stored in another dtype; norms stay f32. */
async function storedAs(dtype: 'f16' | 'bf16'): Promise<Files> {
  const files = tinyFiles();
  const student = await open(files, 'student/');
  const tensors = await Promise.all(
    student.tensorNames.map(async (name) => {
      const { shape } = student.info(name);
      const kept = shape.length === 1 ? ('f32' as const) : dtype;
      return { name, dtype: kept, shape, data: encodeFloats(await student.readF32(name), kept) };
    }),
  );
  files['student/model.safetensors'] = writeSafetensors(inLibraryOrder(tensors), { format: 'pt' });
  return files;
}

async function exported(
  files: Files,
  options: Partial<ExportJob> = {},
): Promise<{ out: Files; summary: ExportSummary; merged: Checkpoint }> {
  const out: Files = {};
  const summary = await exportStudent({
    files: openFileRoot({ kind: 'memory', files }),
    out: openFileRoot({ kind: 'memory', files: out }),
    student: 'student',
    adapter: 'adapter',
    format: 'merged',
    gpu: () => Promise.reject(new Error('no GPU is needed')),
    ...options,
  });
  return { out, summary, merged: await open(out, '') };
}

describe('merging', () => {
  it('adds scale · B·A, with α/√R for rsLoRA and a module’s own α', () => {
    const module = {
      a: { shape: [2, 3] as const, data: Float32Array.of(1, 2, 3, 4, 5, 6) },
      b: { shape: [2, 2] as const, data: Float32Array.of(1, 0, 0.5, -1) },
    };
    const merge = (o: { alpha: number; rsLora: boolean }, own: object = {}): number[] => [
      ...mergeLora(new Float32Array(6), [2, 3], { ...module, ...own }, o, 'w'),
    ];
    expect(merge({ alpha: 4, rsLora: false })).toEqual([2, 4, 6, -7, -8, -9]); // scale 2
    expect(merge({ alpha: 2, rsLora: false }, { alpha: 4 })).toEqual([2, 4, 6, -7, -8, -9]);
    expect(merge({ alpha: Math.SQRT2, rsLora: true })).toEqual([1, 2, 3, -3.5, -4, -4.5]);
    expect(() => mergeLora(new Float32Array(4), [2, 2], module, { alpha: 1, rsLora: false }, 'w')).toThrow(/lora_A/);
  });

  it('writes a checkpoint that opens again, in shards where it is large, with the adapter merged in', async () => {
    const files = { ...tinyFiles(), ...adapterFiles() };
    const { summary, merged } = await exported(files, { shardBytes: 20_000 });
    expect(summary.written).toContain('model.safetensors.index.json');
    const before = await open(files, 'student/');
    expect([...merged.tensorNames].sort()).toEqual([...before.tensorNames].sort());
    for (const name of before.tensorNames) {
      const expected = await before.readF32(name);
      // 2 ranks of 0.25 · 0.5, scale 1
      const sum = name === `${ADAPTED}.weight` ? expected.map((value) => value + 0.25) : expected;
      expect(await merged.readF32(name), name).toEqual(sum);
    }
    expect(merged.config['torch_dtype']).toBe('float32');
    expect(summary.merged).toEqual({ quantize: 'none', dtype: 'f32', roundingShare: 0 });
    expect(summary.notes).toEqual([]);
  });

  it('copies tokenizer files', async () => {
    const files = { ...tinyFiles(), ...adapterFiles() };
    for (const name of ['tokenizer.json', 'merges.txt', 'added_tokens.json'])
      files[`student/${name}`] = Uint8Array.of(7);
    const { out } = await exported(files);
    for (const name of ['tokenizer.json', 'merges.txt', 'added_tokens.json'])
      expect(out[name]).toEqual(Uint8Array.of(7));
  });

  it.each(['f16', 'bf16'] as const)(
    'keeps %s as it is stored, to the byte where the adapter has no part',
    async (dtype) => {
      const files = { ...(await storedAs(dtype)), ...adapterFiles(0.01) };
      const { summary, merged } = await exported(files);
      const before = await open(files, 'student/');
      for (const name of before.tensorNames) {
        expect(merged.info(name).dtype, name).toBe(before.info(name).dtype);
        if (name === `${ADAPTED}.weight`) continue;
        expect(await merged.readBytes(name), name).toEqual(await before.readBytes(name));
      }
      expect(merged.config['torch_dtype']).toBe(dtype === 'f16' ? 'float16' : 'bfloat16');
      // Rounded from the float32 sum, once; and the cost is told.
      const exact = (await before.readF32(`${ADAPTED}.weight`)).map((value) => value + Math.fround(0.01));
      const got = await merged.readF32(`${ADAPTED}.weight`);
      let squares = 0;
      got.forEach((value, i) => {
        expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(
          Math.abs(exact[i]!) * (dtype === 'f16' ? 2 ** -11 : 2 ** -8),
        );
        squares += (value - exact[i]!) ** 2;
      });
      const share = Math.sqrt(squares / (exact.length * 0.01 ** 2));
      expect(share).toBeGreaterThan(1e-4);
      expect(summary.merged!.roundingShare).toBeCloseTo(share, 4);
      expect(summary.notes.join()).toContain(`rounding to ${dtype}`);
    },
  );

  it('--dtype f32 of a bf16 student is exact, and says nothing of rounding', async () => {
    const files = { ...(await storedAs('bf16')), ...adapterFiles(0.01) };
    const { summary, merged } = await exported(files, { dtype: 'f32' });
    const before = await open(files, 'student/');
    for (const name of before.tensorNames) {
      const expected = await before.readF32(name);
      const sum = expected.map((value) => value + Math.fround(0.01));
      expect(await merged.readF32(name), name).toEqual(name === `${ADAPTED}.weight` ? sum : expected);
    }
    expect(summary.merged).toEqual({ quantize: 'none', dtype: 'f32', roundingShare: 0 });
    expect(summary.notes).toEqual([]);
  });

  it('refuses a dtype that cannot hold the values, and an adapter of another student', async () => {
    const files = { ...tinyFiles(), ...adapterFiles(1e5) };
    await expect(exported(files, { dtype: 'f16' })).rejects.toThrow(/up_proj.*f16 cannot hold/);
    const config = JSON.parse(new TextDecoder().decode(files['student/config.json'])) as object;
    const other = { ...config, num_hidden_layers: 1 };
    files['student/config.json'] = new TextEncoder().encode(JSON.stringify(other));
    await expect(exported(files)).rejects.toThrow('which this student does not have');
  });
});

describe('how much is held', () => {
  /** The tiny student with a far larger vocabulary and width: 67 MB of weights, all of one kind. */
  function largeFiles(): Files {
    const config = {
      model_type: 'llama',
      hidden_size: 512,
      intermediate_size: 8192,
      num_hidden_layers: 1,
      num_attention_heads: 8,
      vocab_size: 12_000,
      max_position_embeddings: 64,
      rms_norm_eps: 1e-5,
      tie_word_embeddings: true,
    };
    const { matrices, vectors } = parameterShapes(parseModelConfig(config));
    const tensors = [...matrices, ...vectors].map(({ name, shape }) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return { name, dtype: 'bf16' as const, shape, data: new Uint8Array(2 * count).fill(60) };
    });
    return {
      'student/config.json': new TextEncoder().encode(JSON.stringify(config)),
      'student/model.safetensors': writeSafetensors(inLibraryOrder(tensors), { format: 'pt' }),
    };
  }
  const up = (rows: number, columns: number): { shape: [number, number]; data: Float32Array } => ({
    shape: [rows, columns],
    data: new Float32Array(rows * columns).fill(0.01),
  });

  it.each(['merged', 'gguf'] as const)(
    '%s: pieces of at most 4 MiB are read and written, one at a time',
    async (format) => {
      const adapter = {
        r: 2,
        alpha: 2,
        dropout: 0,
        rsLora: false,
        targetModules: ['up_proj', 'q_proj'],
        baseModel: '',
      };
      const tensors = new Map([
        ['model.layers.0.mlp.up_proj', { a: up(2, 512), b: up(8192, 2) }],
        ['model.layers.0.self_attn.q_proj', { a: up(2, 512), b: up(512, 2) }],
      ]);
      const files = { ...largeFiles() };
      for (const [name, bytes] of Object.entries(writePeftAdapter({ ...adapter, tensors })))
        files[`adapter/${name}`] = bytes;
      const inner = openFileRoot({ kind: 'memory', files });
      let [largestRead, largestWrite, writtenBytes, open] = [0, 0, 0, 0];
      const reading: OpenRoot = {
        ...inner,
        open: async (path) => {
          const source = await inner.open(path);
          if (source === undefined || !path.startsWith('student/model')) return source;
          return {
            ...source,
            read: (start, end) => {
              largestRead = Math.max(largestRead, end - start);
              return source.read(start, end);
            },
          };
        },
      };
      const out = openFileRoot({ kind: 'memory', files: {} });
      const summary = await exportStudent({
        files: reading,
        out: {
          ...out,
          write: (path, bytes) => {
            largestWrite = Math.max(largestWrite, bytes.byteLength);
            return out.write(path, bytes);
          },
          create: () =>
            Promise.resolve({
              write: (bytes) => {
                expect(++open).toBe(1);
                largestWrite = Math.max(largestWrite, bytes.byteLength);
                writtenBytes += bytes.byteLength;
                open--;
                return Promise.resolve();
              },
              close: () => Promise.resolve(),
              abort: () => Promise.resolve(),
            }),
        },
        student: 'student',
        adapter: 'adapter',
        format,
        gpu: () => Promise.reject(new Error('no GPU is needed')),
      });
      expect(writtenBytes).toBeGreaterThan(37e6);
      expect(largestRead).toBeLessThanOrEqual(4 * 2 ** 20);
      expect(largestWrite).toBeLessThanOrEqual(4 * 2 ** 20);
      expect(summary.merged!.roundingShare).toBeGreaterThan(0);
    },
  );

  it('a tensor of several blocks is merged as one that is whole', async () => {
    const files = largeFiles();
    const name = 'model.layers.0.mlp.up_proj';
    const module = { a: up(2, 512), b: up(8192, 2) };
    module.b.data.forEach((_, i) => (module.b.data[i] = Math.sin(i)));
    const adapter = { r: 2, alpha: 2, dropout: 0, rsLora: true, targetModules: ['up_proj'], baseModel: '' };
    for (const [file, bytes] of Object.entries(writePeftAdapter({ ...adapter, tensors: new Map([[name, module]]) }))) {
      files[`adapter/${file}`] = bytes;
    }
    const { merged } = await exported(files, { dtype: 'f32' });
    const before = await open(files, 'student/');
    const whole = mergeLora(await before.readF32(`${name}.weight`), [8192, 512], module, adapter, name);
    expect(Buffer.from((await merged.readF32(`${name}.weight`)).buffer).equals(Buffer.from(whole.buffer))).toBe(true);
  });
});

describe('tensors that the decoder does not use', () => {
  it('are left out, and that is told', async () => {
    const files = { ...tinyFiles(), ...adapterFiles() };
    const before = await open(files, 'student/');
    const tensors = await Promise.all(
      before.tensorNames.map(async (name) => ({ ...before.info(name), name, data: await before.readBytes(name) })),
    );
    const extra = ['model.layers.0.self_attn.rotary_emb.inv_freq', 'vision.weight'].map((name) => ({
      name,
      dtype: 'f32' as const,
      shape: [2],
      data: new Float32Array(2),
    }));
    files['student/model.safetensors'] = writeSafetensors(inLibraryOrder([...tensors, ...extra]), { format: 'pt' });
    const { merged, summary } = await exported(files);
    expect([...merged.tensorNames].sort()).toEqual([...before.tensorNames].sort());
    expect(summary.notes).toEqual([
      expect.stringMatching(/^left out: 2 tensors .*rotary_emb\.inv_freq, vision\.weight/),
    ]);
  });
});

describe('the note beside an adapter', () => {
  const withNote = async (quantize: 'none' | 'nf4' | 'nf4-double', fingerprint?: string): Promise<Files> => {
    const files = tinyFiles();
    const own = await fingerprintOf(await open(files, 'student/'));
    const student = { source: 'students/tiny', fingerprint: fingerprint ?? own, quantize };
    const note = writeAdapterNote({ runId: 'r', student });
    return { ...files, ...adapterFiles(), 'adapter/pupil.json': note['pupil.json']! };
  };

  it('of NF4: it is merged over NF4 unasked, which needs a GPU; over the stored weights as asked, with a warning', async () => {
    await expect(exported(await withNote('nf4-double'))).rejects.toThrow('no GPU is needed');
    const { summary } = await exported(await withNote('nf4-double'), { quantize: 'none' });
    expect(summary.merged!.quantize).toBe('none');
    expect(summary.notes).toEqual([expect.stringMatching(/^warning: .*nf4-double.*stored weights, as asked/)]);
  });

  it('of the stored weights, or none: nothing is said', async () => {
    expect((await exported(await withNote('none'))).summary.notes).toEqual([]);
    expect((await exported({ ...tinyFiles(), ...adapterFiles() })).summary.notes).toEqual([]);
  });

  it('of another student is a warning; a file that is no note is refused', async () => {
    const { summary } = await exported(await withNote('none', '0123456789abcdef'));
    expect(summary.notes).toEqual([expect.stringMatching(/^warning: .*another student \(students\/tiny\)/)]);
    const files = await withNote('none');
    files['adapter/pupil.json'] = new TextEncoder().encode('{"format":"else"}');
    await expect(exported(files)).rejects.toMatchObject({ code: 'format' });
  });
});
