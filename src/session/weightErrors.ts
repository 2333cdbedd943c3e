// weightErrors.ts: what NF4 does to each linear weight of a student, tensor by tensor: quantised by the kernels that load it,
// compared in float64. Held at a time: one weight's values. Nothing is written.
import { elementCount } from '../base/dtypes';
import { LINEAR_NAMES, type LinearName } from '../base/linearNames';
import { throwIfCancelled, type Progress } from '../base/progress';
import type { Experiment } from '../config/experiment';
import { isBnb4bitWeight, readBnb4bitScales, type Bnb4bitScales } from '../formats/bnb4bit';
import type { Checkpoint } from '../formats/checkpointIndex';
import type { Gpu } from '../gpu/device';
import { linearShape, modulePath } from '../model/linearNames';
import { throughNf4 } from '../model/throughNf4';
import { readStoredNf4 } from '../model/weightQuantizer';
import { CHUNK_BYTES } from '../model/weightStream';
import { nf4DequantizeAbsmax } from '../reference/nf4';
import type { OpenRoot } from '../sources/openRoot';
import type { WeightErrorsRequest, WeightMeasure, WeightMeasures } from './engineProtocol';
import { openStudent, readStudentWeights } from './load';
import { weightBlocks, type Blocks } from './mergedTensor';
import type { StudentPlace } from './studentCaching';

export interface WeightErrorsJob {
  gpu: Gpu;
  experiment: Experiment;
  quantize: WeightErrorsRequest['quantize'];
  files: OpenRoot;
  students: StudentPlace | undefined;
  signal: AbortSignal;
  onWeight: (weight: WeightMeasure, progress: Progress) => void;
}

/** One linear weight of a student. */
interface LinearWeightName {
  layer: number;
  module: LinearName;
  name: string;
  shape: [number, number];
}

/** @throws PupilError `cancelled`; whatever reading the student throws */
export async function measureWeights(job: WeightErrorsJob): Promise<WeightMeasures> {
  const start = performance.now();
  const { experiment, files, students, onWeight } = job;
  const said = job.quantize ?? experiment.student.quantize;
  const quantize = said === 'none' ? 'nf4-double' : said;
  const opened = await openStudent(experiment, files, students);
  const { config } = opened;
  const names: LinearWeightName[] = Array.from({ length: config.layers }, (_, layer) =>
    LINEAR_NAMES.map((module) => {
      const shape = linearShape(config, module);
      return { layer, module, name: `${modulePath(layer, module)}.weight`, shape };
    }),
  ).flat();
  const total = names.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const measured = await readStudentWeights(opened, async (checkpoint) => {
    let done = 0;
    const weights: WeightMeasure[] = [];
    for (const weight of names) {
      throwIfCancelled(job.signal, 'Measuring weights');
      const packed = isBnb4bitWeight(checkpoint, weight.name);
      const one = packed
        ? await measureStored(checkpoint, weight, job)
        : await measure(checkpoint, weight, quantize, job);
      weights.push(one);
      done += elementCount(weight.shape);
      onWeight(one, { task: 'Measuring weights', done, total, unit: 'weights' });
    }
    return { weights, packed: names.some(({ name }) => isBnb4bitWeight(checkpoint, name)) };
  });
  await opened.loaded();
  return {
    quantize,
    layers: config.layers,
    weights: measured.weights,
    originals: !measured.packed ? 'here' : config.quantization === undefined ? 'cached' : 'prequantised',
    seconds: (performance.now() - start) / 1000,
  };
}

/** A weight of which only the 4-bit values are there. */
async function measureStored(
  checkpoint: Checkpoint,
  { layer, module, name, shape }: LinearWeightName,
  { signal }: WeightErrorsJob,
): Promise<WeightMeasure> {
  let square = 0;
  for await (const block of weightBlocks(checkpoint, name, shape)) {
    throwIfCancelled(signal, 'Measuring weights');
    for (let i = 0; i < block.length; i++) square += block[i]! * block[i]!;
  }
  const scales = await readBnb4bitScales(checkpoint, name);
  return { layer, module, shape, norm: Math.sqrt(square), absmax: quartiles(scalesOf(scales)) };
}

/** A weight through NF4 and back. */
async function measure(
  checkpoint: Checkpoint,
  { layer, module, name, shape }: LinearWeightName,
  quantize: 'nf4' | 'nf4-double',
  { gpu, signal }: WeightErrorsJob,
): Promise<WeightMeasure> {
  const originals: Float32Array[] = [];
  async function* kept(): Blocks & AsyncGenerator<Float32Array> {
    for await (const block of weightBlocks(checkpoint, name, shape)) {
      throwIfCancelled(signal, 'Measuring weights');
      originals.push(block);
      yield block;
    }
  }
  let absmax: WeightMeasure['absmax'] = [0, 0, 0, 0, 0];
  let bitsPerWeight = 0;
  const values = throughNf4(gpu, name, shape, kept(), quantize === 'nf4-double', async (weight) => {
    const stored = await readStoredNf4(gpu, weight, { dtype: 'f32', pieceBytes: CHUNK_BYTES });
    absmax = quartiles(scalesOf(stored));
    bitsPerWeight = (8 * (stored.packed.byteLength + scaleBytes(stored))) / elementCount(shape);
  });
  let [square, errorSquare, errorSum, greatest, b] = [0, 0, 0, 0, 0];
  for await (const block of values) {
    const original = originals[b++]!;
    for (let i = 0; i < block.length; i++) {
      const value = original[i]!;
      const error = Math.abs(value - block[i]!);
      square += value * value;
      errorSquare += error * error;
      errorSum += error;
      if (error > greatest) greatest = error;
    }
  }
  const norm = Math.sqrt(square);
  const relative = norm === 0 ? 0 : Math.sqrt(errorSquare) / norm;
  const error = { relative, greatest, mean: errorSum / elementCount(shape) };
  return { layer, module, shape, norm, error, bitsPerWeight, absmax };
}

/** The scale of every block of 64, as it is used. */
function scalesOf({ absmax }: Pick<Bnb4bitScales, 'absmax'>): Float32Array {
  return absmax instanceof Float32Array ? absmax : nf4DequantizeAbsmax(absmax, absmax.nestedMap);
}

/** Without the map of 256 codes, which is the same for every weight. */
function scaleBytes({ absmax }: Pick<Bnb4bitScales, 'absmax'>): number {
  if (absmax instanceof Float32Array) return absmax.byteLength;
  return absmax.codes.byteLength + absmax.nestedAbsmax.byteLength + 4; // and the offset
}

/** Least, quartiles and greatest. */
function quartiles(values: Float32Array): WeightMeasure['absmax'] {
  const sorted = values.slice().sort();
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
  return [at(0), at(0.25), at(0.5), at(0.75), at(1)];
}
