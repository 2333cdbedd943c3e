// exportMerged.ts: a merged student as a Hugging Face checkpoint that any other engine reads, tokenizer files included. The
// weights go through in pieces: what is held is a block of rows, whatever the student's size. Over which values it is merged
// is decided in exportStudent.ts; one tensor is mergedTensor.ts.
import { DTYPE_BYTES, elementCount } from '../base/dtypes';
import { readWhole, type OpenFile } from '../formats/byteSource';
import { COMPANION_FILES, MAX_COMPANION_BYTES } from '../formats/companionFiles';
import { inLibraryOrder, writeSafetensorsParts } from '../formats/safetensorsWrite';
import { writeStream } from '../sources/writeStream';
import type { MergeJob } from './mergeJob';
import { mergedTensor, type MergedDtype, type MergedSpec } from './mergedTensor';

const TORCH_NAMES: Record<MergedDtype, string> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };

/**
 * Writes weights, config.json and the tokenizer's files; returns the dtype that most weights have.
 * @param open files of the student's folder
 * @param specs the tensors of the student
 */
export async function exportMerged(job: MergeJob, open: OpenFile, specs: readonly MergedSpec[]): Promise<MergedDtype> {
  await writeWeights(job, specs);
  const dtype = mostlyOf(specs);
  const { quantization_config: _quantization, dtype: _dtype, ...rest } = job.settings.checkpoint.config;
  await job.write('config.json', jsonBytes({ ...rest, torch_dtype: TORCH_NAMES[dtype] }));
  for (const name of COMPANION_FILES) {
    const file = await open(name);
    if (file !== undefined) await job.write(name, await readWhole(file, MAX_COMPANION_BYTES));
  }
  return dtype;
}

const jsonBytes = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** All weights, in as many files as it takes. Shards hold as many tensors as fit; none is split. */
async function writeWeights(job: MergeJob, specs: readonly MergedSpec[]): Promise<void> {
  const sizeOf = ({ shape, dtype }: MergedSpec): number => DTYPE_BYTES[dtype] * elementCount(shape);
  const shards: MergedSpec[][] = [];
  let room = 0;
  for (const spec of inLibraryOrder(specs)) {
    if (shards.length === 0 || sizeOf(spec) > room) {
      shards.push([]);
      room = job.shardBytes ?? 2 ** 30;
    }
    shards.at(-1)!.push(spec);
    room -= sizeOf(spec);
  }
  const number = (i: number): string => String(i).padStart(5, '0');
  const weightMap: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const file =
      shards.length === 1 ? 'model.safetensors' : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const spec of shard) weightMap[spec.name] = file;
    const { parts } = writeSafetensorsParts(
      shard,
      (spec) => {
        job.advance();
        return Promise.resolve(mergedTensor(job.settings, job.account, { ...spec, dtype: spec.dtype as MergedDtype }));
      },
      { format: 'pt' },
    );
    await writeStream(job.out, file, parts());
    job.written.push(file);
  }
  if (shards.length > 1) {
    const totalSize = specs.reduce((sum, spec) => sum + sizeOf(spec), 0);
    const index = { metadata: { total_size: totalSize }, weight_map: weightMap };
    await job.write('model.safetensors.index.json', jsonBytes(index));
  }
}

/** The dtype that most numbers have. */
export function mostlyOf(specs: readonly MergedSpec[]): MergedDtype {
  const elementsOf = (dtype: MergedDtype): number =>
    specs.reduce((sum, spec) => sum + (spec.dtype === dtype ? elementCount(spec.shape) : 0), 0);
  return (['f32', 'bf16', 'f16'] as const).reduce((a, b) => (elementsOf(b) > elementsOf(a) ? b : a));
}
