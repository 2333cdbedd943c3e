// exportStudent.ts: an adapter as PEFT files, or merged into its student's weights: W + scale·B·A in float32, as a Hugging
// Face checkpoint that any other engine reads. On the CPU: no GPU is needed, and sums are in float64.
import { PupilError } from '../base/errors';
import { elementCount } from '../base/dtypes';
import { readWhole } from '../formats/byteSource';
import { isBnb4bitWeight, readBnb4bitWeight } from '../formats/bnb4bit';
import { openCheckpoint, type Checkpoint } from '../formats/checkpointIndex';
import { parseModelConfig } from '../formats/modelConfig';
import { writePeftAdapter, type AdapterFile, type AdapterModule } from '../formats/peft';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../formats/safetensorsWrite';
import { parameterShapes } from '../model/student';
import { filesIn, loadAdapterFile } from '../recipes/files';
import { nf4Dequantize, nf4DequantizeAbsmax } from '../reference/nf4';
import type { OpenRoot } from '../sources/openRoot';

export interface ExportJob {
  files: OpenRoot;
  out: OpenRoot;
  /** Folders within `files`. */
  student: string;
  adapter: string;
  format: 'peft' | 'merged';
  /** Bytes of one weights file; more are sharded. */
  shardBytes?: number;
  onProgress?: (done: number, total: number) => void;
}

/** Files of a checkpoint folder that go along with merged weights, where they are there. */
const COMPANIONS = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'tokenizer.model',
  'vocab.json',
  'chat_template.jinja',
];
const MAX_COMPANION_BYTES = 2 ** 28;

/**
 * Writes the export and returns the paths written.
 * @throws PupilError `checkpoint` where the adapter trains a layer that the student does not have.
 */
export async function exportStudent(job: ExportJob): Promise<string[]> {
  const adapter = await loadAdapterFile(job.files, job.adapter);
  const written: string[] = [];
  const write = async (path: string, bytes: Uint8Array): Promise<void> => {
    await job.out.write(path, bytes);
    written.push(path);
  };
  const open = filesIn(job.files, job.student);
  const checkpoint = await openCheckpoint(open, job.student);
  const config = parseModelConfig(checkpoint.config, `${checkpoint.name}/config.json`);
  const { matrices, norms } = parameterShapes(config);
  expectModules(adapter, new Set(matrices.map(({ name }) => name)));
  if (job.format === 'peft') {
    for (const [name, bytes] of Object.entries(writePeftAdapter(adapter))) await write(name, bytes);
    return written;
  }

  // Shards hold as many tensors as fit; none is split.
  const specs = inLibraryOrder([...matrices, ...norms].map((spec) => ({ ...spec, dtype: 'f32' as const })));
  const shards: (typeof specs)[] = [];
  let room = 0;
  for (const spec of specs) {
    const bytes = 4 * elementCount(spec.shape);
    if (shards.length === 0 || bytes > room) {
      shards.push([]);
      room = job.shardBytes ?? 2 ** 30;
    }
    shards.at(-1)!.push(spec);
    room -= bytes;
  }
  const number = (i: number): string => String(i).padStart(5, '0');
  const weightMap: Record<string, string> = {};
  let done = 0;
  for (const [i, shard] of shards.entries()) {
    const file =
      shards.length === 1 ? 'model.safetensors' : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    const tensors: TensorData[] = [];
    for (const { name, shape } of shard) {
      const data = await mergedTensor(checkpoint, adapter, name, shape);
      tensors.push({ name, dtype: 'f32', shape, data });
      weightMap[name] = file;
      job.onProgress?.(++done, specs.length);
    }
    await write(file, writeSafetensors(tensors, { format: 'pt' }));
  }
  const json = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  if (shards.length > 1) {
    const totalSize = specs.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    const index = { metadata: { total_size: totalSize }, weight_map: weightMap };
    await write('model.safetensors.index.json', json(index));
  }
  const { quantization_config: _quantization, dtype: _dtype, ...rest } = checkpoint.config;
  await write('config.json', json({ ...rest, torch_dtype: 'float32' }));
  for (const name of COMPANIONS) {
    const file = await open(name);
    if (file !== undefined) await write(name, await readWhole(file, MAX_COMPANION_BYTES));
  }
  return written;
}

function expectModules(adapter: AdapterFile, weights: ReadonlySet<string>): void {
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

async function mergedTensor(
  checkpoint: Checkpoint,
  adapter: AdapterFile,
  name: string,
  shape: readonly number[],
): Promise<Float32Array> {
  const weight = await baseTensor(checkpoint, name);
  if (weight.length !== elementCount(shape)) {
    throw new PupilError(
      'checkpoint',
      `${name}: expected shape [${shape.join(', ')}] from config.json, the file has ${weight.length} elements`,
    );
  }
  const module = adapter.tensors.get(name.replace(/\.weight$/, ''));
  return module === undefined ? weight : mergeLora(weight, shape, module, adapter, name);
}

/** Stored weights as float32; NF4 ones dequantised. */
async function baseTensor(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  if (!isBnb4bitWeight(checkpoint, name)) return (await checkpoint.readF32(name)).slice();
  const { packed, shape, absmax } = await readBnb4bitWeight(checkpoint, name);
  const scales = absmax instanceof Float32Array ? absmax : nf4DequantizeAbsmax(absmax, absmax.nestedMap);
  return nf4Dequantize(packed, scales, shape[0] * shape[1]);
}

/** W[o, c] += scale · Σ_r B[o, r] · A[r, c], summed in float64. Returns W. */
export function mergeLora(
  weight: Float32Array, // (O, C)
  shape: readonly number[],
  module: AdapterModule,
  adapter: Pick<AdapterFile, 'alpha' | 'rsLora'>,
  name: string,
): Float32Array {
  const [O, C] = [shape[0]!, shape[1]!];
  const { a, b } = module;
  const R = a.shape[0];
  if (a.shape[1] !== C || b.shape[0] !== O || b.shape[1] !== R) {
    throw new PupilError(
      'checkpoint',
      `${name}: expected lora_A [r, ${C}] and lora_B [${O}, r], got [${a.shape.join(', ')}] and [${b.shape.join(', ')}]`,
      'The adapter was made for another base model.',
    );
  }
  const alpha = module.alpha ?? adapter.alpha;
  const scale = adapter.rsLora ? alpha / Math.sqrt(R) : alpha / R;
  const row = new Float64Array(C);
  for (let o = 0; o < O; o++) {
    row.fill(0);
    for (let r = 0; r < R; r++) {
      const factor = scale * b.data[o * R + r]!;
      for (let c = 0; c < C; c++) row[c]! += factor * a.data[r * C + c]!;
    }
    for (let c = 0; c < C; c++) weight[o * C + c]! += row[c]!;
  }
  return weight;
}
