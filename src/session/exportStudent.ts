// exportStudent.ts: an adapter as PEFT files, or merged into its student's weights as a Hugging Face checkpoint that any other
// engine reads, tokenizer files included. Over which weights it is merged decides whether the result answers as the
// student did that was trained (docs/decisions/0004). A GPU is needed only to merge over NF4 values.
import { PupilError } from '../base/errors';
import { DTYPE_BYTES, elementCount } from '../base/dtypes';
import { readAdapterNote, type AdapterNote } from '../formats/adapterNote';
import { readWhole } from '../formats/byteSource';
import { openCheckpoint } from '../formats/checkpointIndex';
import { COMPANION_FILES, MAX_COMPANION_BYTES } from '../formats/companionFiles';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import { writePeftAdapter, type AdapterFile } from '../formats/peft';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../formats/safetensorsWrite';
import type { Gpu } from '../gpu/device';
import { parameterShapes } from '../model/parameterShapes';
import { throughNf4 } from '../model/studentWeights';
import { filesIn, loadAdapterFile } from '../recipes/files';
import type { OpenRoot } from '../sources/openRoot';
import { fingerprintOf } from './load';
import { mergedDtype, mergedTensor, type MergedDtype, type MergeSettings, type RoundingAccount } from './mergedTensor';
import type { ExportRequest, ExportSummary } from './protocol';

export interface ExportJob extends Omit<ExportRequest, 'files' | 'out'> {
  files: OpenRoot;
  out: OpenRoot;
  /** Asked for where NF4 values are needed. */
  gpu: () => Promise<Gpu>;
  /** Bytes of one weights file; more are sharded. */
  shardBytes?: number;
  onProgress?: (done: number, total: number) => void;
}

const TORCH_NAMES: Record<MergedDtype, string> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };

/**
 * Writes the export.
 * @throws PupilError `checkpoint` where the adapter trains a layer that the student does not have; `config` where a base
 *   that is quantised already is to be quantised again
 */
export async function exportStudent(job: ExportJob): Promise<ExportSummary> {
  const adapter = await loadAdapterFile(job.files, job.adapter);
  const written: string[] = [];
  const write = async (path: string, bytes: Uint8Array): Promise<void> => {
    await job.out.write(path, bytes);
    written.push(path);
  };
  const open = filesIn(job.files, job.student);
  const checkpoint = await openCheckpoint(open, job.student);
  const config = parseModelConfig(checkpoint.config, `${checkpoint.name}/config.json`);
  expectModules(adapter, config);
  if (job.format === 'peft') {
    for (const [name, bytes] of Object.entries(writePeftAdapter(adapter))) await write(name, bytes);
    return { written, notes: [] };
  }
  const note = await readAdapterNote(filesIn(job.files, job.adapter));
  const base = chooseBase(job.quantize, note, config);
  const settings: MergeSettings = {
    checkpoint,
    adapter,
    dtype: job.dtype ?? 'keep',
    quantize:
      base.quantize === 'none'
        ? undefined
        : async (name, shape, values) =>
            throughNf4(await job.gpu(), name, shape, values, base.quantize === 'nf4-double'),
  };
  const account: RoundingAccount = { rounding: 0, update: 0 };
  const dtype = await writeWeights(job, settings, config, account, write);
  const { quantization_config: _quantization, dtype: _dtype, ...rest } = checkpoint.config;
  await write('config.json', jsonBytes({ ...rest, torch_dtype: TORCH_NAMES[dtype] }));
  for (const name of COMPANION_FILES) {
    const file = await open(name);
    if (file !== undefined) await write(name, await readWhole(file, MAX_COMPANION_BYTES));
  }
  const notes = [...base.notes];
  if (note !== undefined && note.student.fingerprint !== (await fingerprintOf(checkpoint))) {
    notes.push(
      `warning: the adapter was trained on another student (${note.student.source}): config or tensors differ from those of ${job.student}`,
    );
  }
  const roundingShare = account.update === 0 ? 0 : Math.sqrt(account.rounding / account.update);
  if (account.rounding > 0) {
    notes.push(
      `rounding to ${dtype} moves the weights by ${roundingShare.toPrecision(2)} times what the adapter does; --dtype f32 keeps all of it`,
    );
  }
  return { written, notes, merged: { quantize: base.quantize, dtype, roundingShare } };
}

const jsonBytes = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** Over which values: as asked; unasked as the adapter was trained, where its folder says so; else as stored. */
function chooseBase(
  asked: ExportJob['quantize'],
  note: AdapterNote | undefined,
  config: ModelConfig,
): { quantize: NonNullable<ExportJob['quantize']>; notes: string[] } {
  const trained = note?.student.quantize;
  if (config.quantization !== undefined) {
    if (asked === undefined || asked === 'none') return { quantize: 'none', notes: [] };
    throw new PupilError(
      'config',
      `export: the student is already quantised (bitsandbytes NF4), --quantize ${asked} was asked for`,
      'Leave --quantize out: the adapter is merged over the values it holds.',
    );
  }
  const quantize = asked ?? trained ?? 'none';
  if (quantize === trained && asked === undefined && quantize !== 'none') {
    return {
      quantize,
      notes: [
        `the adapter was trained over ${quantize} values of this student, so it is merged over these and all linear layers hold them; --quantize none merges over the stored weights`,
      ],
    };
  }
  if (trained === undefined || trained === quantize) return { quantize, notes: [] };
  return {
    quantize,
    notes: [
      `warning: the adapter was trained over ${trained === 'none' ? 'the stored weights' : `${trained} values`} of its student and is merged over ${quantize === 'none' ? 'the stored weights' : `${quantize} values`}, as asked: its answers will not be those of the run`,
    ],
  };
}

/** All weights, in as many files as it takes; returns the dtype that most of them have. */
async function writeWeights(
  job: ExportJob,
  settings: MergeSettings,
  config: ModelConfig,
  account: RoundingAccount,
  write: (path: string, bytes: Uint8Array) => Promise<void>,
): Promise<MergedDtype> {
  const { matrices, vectors } = parameterShapes(config);
  const specs: { name: string; shape: readonly number[]; dtype: MergedDtype }[] = [];
  for (const { name, shape } of [...matrices, ...vectors]) {
    specs.push({ name, shape, dtype: await mergedDtype(settings, name) });
  }
  const sizeOf = ({ shape, dtype }: (typeof specs)[number]): number => DTYPE_BYTES[dtype] * elementCount(shape);
  // Shards hold as many tensors as fit; none is split.
  const shards: (typeof specs)[] = [];
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
  let done = 0;
  for (const [i, shard] of shards.entries()) {
    const file =
      shards.length === 1 ? 'model.safetensors' : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    const tensors: TensorData[] = [];
    for (const spec of shard) {
      tensors.push({ ...spec, data: await mergedTensor(settings, account, spec) });
      weightMap[spec.name] = file;
      job.onProgress?.(++done, specs.length);
    }
    await write(file, writeSafetensors(tensors, { format: 'pt' }));
  }
  if (shards.length > 1) {
    const totalSize = specs.reduce((sum, spec) => sum + sizeOf(spec), 0);
    const index = { metadata: { total_size: totalSize }, weight_map: weightMap };
    await write('model.safetensors.index.json', jsonBytes(index));
  }
  const elementsOf = (dtype: MergedDtype): number =>
    specs.reduce((sum, spec) => sum + (spec.dtype === dtype ? elementCount(spec.shape) : 0), 0);
  return (['f32', 'bf16', 'f16'] as const).reduce((a, b) => (elementsOf(b) > elementsOf(a) ? b : a));
}

function expectModules(adapter: AdapterFile, config: ModelConfig): void {
  const weights = new Set(parameterShapes(config).matrices.map(({ name }) => name));
  for (const path of adapter.tensors.keys()) {
    if (!weights.has(`${path}.weight`)) {
      throw new PupilError(
        'checkpoint',
        `export: the adapter trains ${path}, which this student does not have`,
        'The adapter was made for another base model.',
      );
    }
  }
}
