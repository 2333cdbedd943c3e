// inspect.ts: the port through which an engineer holds Pupil against her own PyTorch (`pupil inspect`): named files in,
// safetensors or JSON out, ids taken verbatim, no dropout. This file reads options and does logits, generate and nf4;
// gradients and dpo are in inspectTraining.ts.
import { encodeFloats } from '../formats/tensorBytes';
import { readSafetensorsHeader, tensorReader } from '../formats/safetensors';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../formats/safetensorsWrite';
import { PupilError } from '../base/errors';
import { elementCount } from '../base/dtypes';
import { Recorder } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { makeNf4Weight, nf4Dequantize, nf4Quantize } from '../kernels/quantize';
import { Adapter } from '../model/adapter';
import { packSequences } from '../model/batch';
import { Generator } from '../model/generator';
import type { Student } from '../model/student';
import { Trainer } from '../model/trainer';
import { boundsOf, microBatches } from './batches';
import { filesIn, loadAdapterFile, loadStudent, oneOf, type ReadableFiles, type WritableFiles } from './files';
import { InspectOptions, parsePrompts, readBatch, type InspectJob } from './inspectInput';
import { inspectDpo, inspectGradients } from './inspectTraining';

/** Tokens of one forward pass. */
const MAX_TOKENS = 2048;

/**
 * Runs one inspection; what each reads and writes is in the command line's help and below.
 * @throws PupilError `usage` for an option that is missing or of no use, `format`/`checkpoint` for files.
 */
export async function inspect(gpu: Gpu, job: InspectJob): Promise<void> {
  const options = new InspectOptions(job.kind, job.options);
  if (job.kind === 'nf4') return inspectNf4(gpu, job, options);
  const quantize = oneOf('--quantize', options.text('quantize', 'none'), ['none', 'nf4', 'nf4-double']);
  const folder = options.path('student');
  const student =
    (await job.load?.(folder, quantize)) ?? (await loadStudent(gpu, job.files, folder, { quantize })).student;
  try {
    switch (job.kind) {
      case 'logits':
        return await inspectLogits(student, job, options);
      case 'generate':
        return await inspectGenerate(student, job, options);
      case 'gradients':
        return await inspectGradients(student, job, options);
      case 'dpo':
        return await inspectDpo(student, job, options);
    }
  } finally {
    student.destroy();
  }
}

/** The adapter that `--adapter` names, without its dropout; undefined where none is named. */
async function optionalAdapter(
  student: Student,
  job: InspectJob,
  options: InspectOptions,
): Promise<Adapter | undefined> {
  const folder = options.optionalPath('adapter');
  if (folder === undefined) return undefined;
  return Adapter.fromPeft(student, { ...(await loadAdapterFile(job.files, folder)), dropout: 0 });
}

/** `--batch` (input_ids, attention_mask I64 [B,T]) → `logits` F32 [B,T,V]; padded positions are 0. */
async function inspectLogits(student: Student, job: InspectJob, options: InspectOptions): Promise<void> {
  const batch = await readBatch(job.files, options.path('batch'), student.config, false);
  const adapter = await optionalAdapter(student, job, options);
  const units = batch.sequences.map((sequence) => [sequence]);
  const trainer = new Trainer(student, adapter, { limits: boundsOf(units, MAX_TOKENS, batch.B), scoringOnly: true });
  try {
    await trainer.ready();
    const V = student.config.vocabSize;
    const logits = new Float32Array(batch.B * batch.T * V); // (B, T, V)
    let b = 0;
    for (const group of microBatches(units, MAX_TOKENS)) {
      const packed = await trainer.logits(packSequences(group.flat()));
      let at = 0;
      for (const [sequence] of group) {
        logits.set(packed.subarray(at, at + sequence!.ids.length * V), b++ * batch.T * V);
        at += sequence!.ids.length * V;
      }
    }
    await writeTensors(job.out, options.path('out'), [
      { name: 'logits', dtype: 'f32', shape: [batch.B, batch.T, V], data: logits },
    ]);
  } finally {
    trainer.destroy();
    adapter?.destroy();
  }
}

/** `--prompts` [[ids], …] → [{"ids": [new ids], "stopped": "eos" | "length"}, …]. */
async function inspectGenerate(student: Student, job: InspectJob, options: InspectOptions): Promise<void> {
  const path = options.path('prompts');
  const maxNewTokens = options.number('maxNewTokens', 64);
  const prompts = parsePrompts(await job.files.readText(path), path, student.config, maxNewTokens);
  const adapter = await optionalAdapter(student, job, options);
  const generator = new Generator(student, adapter, {
    batchSize: Math.max(1, Math.min(32, prompts.length)),
    maxPromptTokens: prompts.reduce((most, prompt) => Math.max(most, prompt.length), 1),
    maxNewTokens,
    temperature: options.number('temperature', 0),
    eosIds: await endIds(student, job.files, options.path('student')),
  });
  try {
    await generator.ready();
    const seed = options.number('seed', 0);
    const answers = await generator.generate(prompts, { seed, stream: 'generate' });
    const text = `[\n${answers.map((answer) => `  ${JSON.stringify(answer)}`).join(',\n')}\n]\n`;
    await job.out.write(options.path('out'), new TextEncoder().encode(text));
  } finally {
    generator.destroy();
    adapter?.destroy();
  }
}

/** generation_config.json's end-of-text ids where there is such a file, else config.json's (as transformers). */
async function endIds(student: Student, files: ReadableFiles, folder: string): Promise<number[]> {
  const file = await filesIn(files, folder)('generation_config.json');
  if (file !== undefined) {
    const json = JSON.parse(new TextDecoder().decode(await file.read(0, file.size))) as { eos_token_id?: unknown };
    const ids = [json.eos_token_id].flat().filter((id): id is number => Number.isInteger(id));
    if (ids.length > 0) return ids;
  }
  return [...student.config.eosTokenIds];
}

/**
 * `--input` → per floating-point tensor `<name>.packed` U8, `.absmax` (F32; with `--double` U8, and `.nested_absmax` F32,
 * `.nested_quant_map` F32 [256], `.offset` F32 [1]) and `.dequantized` in the input's dtype and shape.
 */
async function inspectNf4(gpu: Gpu, job: InspectJob, options: InspectOptions): Promise<void> {
  const path = options.path('input');
  const source = await job.files.open(path);
  if (source === undefined) throw new PupilError('source', `${path}: expected a safetensors file, there is none`);
  const file = tensorReader(await readSafetensorsHeader(source));
  const double = options.flag('double');
  const outputs: TensorData[] = [];
  for (const name of file.tensorNames) {
    const { dtype, shape } = file.info(name);
    if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16') {
      throw new PupilError('usage', `${path}: ${name}: expected F32, F16 or BF16, got ${dtype}`, 'Remove that tensor.');
    }
    const count = elementCount(shape);
    if (count === 0) throw new PupilError('usage', `${path}: ${name}: expected at least one element, got none`);
    const arena = gpu.arena('inspect nf4');
    try {
      const flat = [1, count] as const; // blocks run over the flattened tensor, whatever its shape
      const weight = makeNf4Weight(arena, name, flat, { double });
      const x = arena.upload('x', flat, 'f32', await file.readF32(name));
      const y = arena.tensor('y', flat);
      const commands = [...nf4Quantize(gpu, { x }, { weight, arena }), ...nf4Dequantize(gpu, { y }, { weight })];
      await gpu.settled();
      new Recorder(gpu, 'inspect nf4').add(...commands).submit();
      const packedBytes = Math.ceil(count / 2);
      const blocks = Math.ceil(count / weight.blockSize);
      const packed = new Uint8Array(await gpu.read(weight.packed)).slice(0, packedBytes);
      outputs.push({ name: `${name}.packed`, dtype: 'u8', shape: [packedBytes], data: packed });
      const absmax = await gpu.read(weight.absmax);
      if (weight.nested === undefined) {
        outputs.push({
          name: `${name}.absmax`,
          dtype: 'f32',
          shape: [blocks],
          data: new Float32Array(absmax, 0, blocks),
        });
      } else {
        const nested = await gpu.readF32(weight.nested); // map, offset, nested absmax
        const nestedBlocks = nested.length - 257;
        outputs.push(
          { name: `${name}.absmax`, dtype: 'u8', shape: [blocks], data: new Uint8Array(absmax, 0, blocks) },
          { name: `${name}.nested_absmax`, dtype: 'f32', shape: [nestedBlocks], data: nested.slice(257) },
          { name: `${name}.nested_quant_map`, dtype: 'f32', shape: [256], data: nested.slice(0, 256) },
          { name: `${name}.offset`, dtype: 'f32', shape: [1], data: nested.slice(256, 257) },
        );
      }
      const values = (await gpu.readF32(y)).subarray(0, count);
      outputs.push({ name: `${name}.dequantized`, dtype, shape, data: encodeFloats(values, dtype) });
    } finally {
      arena.destroy();
    }
  }
  await writeTensors(job.out, options.path('out'), outputs);
}

/** One safetensors file in the library's own order. */
export async function writeTensors(out: WritableFiles, path: string, tensors: readonly TensorData[]): Promise<void> {
  await out.write(path, writeSafetensors(inLibraryOrder(tensors)));
}
