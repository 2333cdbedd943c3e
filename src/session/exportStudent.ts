// exportStudent.ts: an adapter as PEFT files or GGUF, or merged into its student's weights (safetensors or GGUF). Over which
// weights it is merged decides whether the result answers as the student did that was trained (docs/decisions/0004). The
// formats themselves are exportMerged.ts and exportGguf.ts. A GPU is needed only to merge over NF4 values.
import { PupilError } from '../base/errors';
import { readAdapterNote, type AdapterNote } from '../formats/adapterNote';
import { isBnb4bitWeight } from '../formats/bnb4bit';
import { openCheckpoint, type Checkpoint } from '../formats/checkpointIndex';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import { writePeftAdapter, type AdapterFile } from '../formats/peft';
import type { Gpu } from '../gpu/device';
import { parameterShapes, type NamedShape } from '../model/parameterShapes';
import { throughNf4 } from '../model/throughNf4';
import { filesIn, loadAdapterFile } from '../recipes/files';
import type { OpenRoot } from '../sources/openRoot';
import { exportGguf, exportGgufAdapter } from './exportGguf';
import { exportMerged } from './exportMerged';
import { fingerprintOf } from './load';
import type { MergeJob } from './mergeJob';
import { mergedDtype, type MergedSpec, type MergeSettings } from './mergedTensor';
import type { ExportRequest, ExportSummary } from './protocol';

export interface ExportJob extends Omit<ExportRequest, 'files' | 'out'> {
  files: OpenRoot;
  out: OpenRoot;
  /** Asked for where NF4 values are needed. */
  gpu: () => Promise<Gpu>;
  /** Bytes of one weights file; more are sharded (safetensors). */
  shardBytes?: number;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Writes the export.
 * @throws PupilError `checkpoint` where the adapter trains a layer that the student does not have; `config` where a base
 *   that is quantised already is to be quantised again, or where the format cannot say what the student computes
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
  if (job.format === 'gguf-adapter') {
    const notes = await exportGgufAdapter(job.out, adapter, config, job.dtype ?? 'keep');
    return { written: ['adapter.gguf'], notes };
  }
  const note = await readAdapterNote(filesIn(job.files, job.adapter));
  const base = chooseBase(job.quantize, note, config);
  const settings: MergeSettings = {
    checkpoint,
    adapter,
    dtype: job.dtype ?? (job.format === 'gguf' ? 'f16' : 'keep'),
    quantize: base.quantize === 'none' ? undefined : await overNf4(job, base.quantize === 'nf4-double'),
  };
  const specs = await Promise.all(
    weightsOf(config).map(async (spec): Promise<MergedSpec> => ({
      ...spec,
      dtype: await mergedDtype(settings, spec.name),
    })),
  );
  let done = 0;
  const mergeJob: MergeJob = {
    settings,
    account: { rounding: 0, update: 0 },
    out: job.out,
    ...(job.shardBytes === undefined ? {} : { shardBytes: job.shardBytes }),
    written,
    write,
    advance: () => job.onProgress?.(++done, specs.length),
  };
  const notes = [...base.notes, ...leftOut(checkpoint, config)];
  let dtype;
  if (job.format === 'gguf') {
    const made = await exportGguf(mergeJob, open, config, specs);
    dtype = made.dtype;
    notes.push(...made.notes);
  } else {
    dtype = await exportMerged(mergeJob, open, specs);
  }
  if (note !== undefined && note.student.fingerprint !== (await fingerprintOf(checkpoint))) {
    notes.push(
      `warning: the adapter was trained on another student (${note.student.source}): config or tensors differ from those of ${job.student}`,
    );
  }
  const { rounding, update } = mergeJob.account;
  const roundingShare = update === 0 ? 0 : Math.sqrt(rounding / update);
  if (rounding > 0 && update > 0) {
    notes.push(
      `rounding to ${dtype} moves the weights by ${roundingShare.toPrecision(2)} times what the adapter does; --dtype f32 keeps all of it`,
    );
  }
  return { written, notes, merged: { quantize: base.quantize, dtype, roundingShare } };
}

async function overNf4(job: ExportJob, double: boolean): Promise<NonNullable<MergeSettings['quantize']>> {
  const gpu = await job.gpu();
  return (name, shape, values) => throughNf4(gpu, name, shape, values, double);
}

/** Every tensor that the decoder knows. */
function weightsOf(config: ModelConfig): NamedShape[] {
  return Object.values(parameterShapes(config)).flat();
}

/** Tensors of the checkpoint that the decoder does not know are not written, and that is told. */
function leftOut(checkpoint: Checkpoint, config: ModelConfig): string[] {
  const known = new Set(weightsOf(config).map(({ name }) => name));
  const isCompanion = (tensor: string): boolean => {
    const weight = /^(.+?\.weight)\./.exec(tensor)?.[1];
    return weight !== undefined && known.has(weight) && isBnb4bitWeight(checkpoint, weight);
  };
  const others = checkpoint.tensorNames.filter((tensor) => !known.has(tensor) && !isCompanion(tensor));
  if (others.length === 0) return [];
  const some = others.slice(0, 3).join(', ') + (others.length > 3 ? ', …' : '');
  return [
    `left out: ${others.length} tensor${others.length === 1 ? '' : 's'} that this decoder does not use (${some})`,
  ];
}

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

function expectModules(adapter: AdapterFile, config: ModelConfig): void {
  const weights = new Set(weightsOf(config).map(({ name }) => name));
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
