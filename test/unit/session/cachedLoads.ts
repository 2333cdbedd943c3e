// cachedLoads.ts: a tiny student loaded with a cache, and what of it is on the GPU, to the bit. Tests only.
import { expect } from 'vitest';
import type { Experiment } from '../../../src/config/experiment';
import type { Gpu } from '../../../src/gpu/device';
import { packSequences } from '../../../src/model/batch';
import type { Student } from '../../../src/model/student';
import { Trainer } from '../../../src/model/trainer';
import { loadStudentWeights, openStudent, type OpenedStudent } from '../../../src/session/load';
import type { CacheUse } from '../../../src/session/studentProtocol';
import { readExperiment } from '../../../src/session/taskItems';
import { RemoteFiles } from '../../../src/session/remoteFiles';
import { openFileRoot, type FileRoot } from '../../../src/sources/fileRoot';
import type { CachePlace } from '../../../src/storage/cachePlace';
import type { MemoryCachePlace } from '../../../src/storage/cacheMemory';
import { StudentCache } from '../../../src/storage/studentCache';
import { testGpu } from '../../kernels/device';
import { tinyExperiment, tinyFiles } from './tinyRun';

export let gpu: Gpu;
/** To be called before the first test. */
export async function acquire(): Promise<void> {
  gpu = await testGpu();
}

export const students: Student[] = [];
/** Gives back what the test has loaded: to be called after each. */
export const release = (): void => students.splice(0).forEach((student) => student.destroy());

export const FILES: Record<string, Uint8Array> = {
  ...tinyFiles(),
  'student/tokenizer_config.json': new TextEncoder().encode('{"a": 1}'),
};
export const ROOT: FileRoot = { kind: 'memory', files: FILES };

/** The weights with one bit of the embedding changed. */
export function otherWeights(): Uint8Array {
  const weights = FILES['student/model.safetensors']!.slice();
  weights[8 + Number(new DataView(weights.buffer).getBigUint64(0, true)) + 1]! ^= 1;
  return weights;
}

export function experimentWith(quantize: string, source: unknown = { kind: 'directory', path: 'student' }): Experiment {
  const student = { ...(tinyExperiment()['student'] as object), quantize, source };
  return readExperiment(tinyExperiment({ student }));
}

export interface Loaded {
  student: Student;
  opened: OpenedStudent;
  tasks: Set<string>;
  log: string;
}

export async function load(
  place: CachePlace,
  experiment: Experiment,
  root: FileRoot = ROOT,
  use: CacheUse | undefined = 'on',
  signal = new AbortController().signal,
): Promise<Loaded> {
  const opened = await openStudent(experiment, new RemoteFiles().beside(openFileRoot(root)), {
    cache: new StudentCache(place),
    use,
    root,
  });
  const tasks = new Set<string>();
  const student = await loadStudentWeights(gpu, experiment, opened, ({ task }) => void tasks.add(task), signal);
  students.push(student);
  return { student, opened, tasks, log: opened.notes.map(({ level, message }) => `${level}: ${message}`).join('\n') };
}

/** Everything of a student on the GPU, by name. */
export async function bitsOf(student: Student): Promise<Map<string, Uint8Array>> {
  const bits = new Map<string, Uint8Array>();
  const add = async (name: string, tensor: Student['finalNorm']): Promise<void> => {
    bits.set(name, new Uint8Array(await gpu.read(tensor)));
  };
  await add('embedding', student.embedding.data);
  await add('head', student.head.data);
  await add('norm', student.finalNorm);
  for (const [i, layer] of student.layers.entries()) {
    for (const [name, vector] of Object.entries({ ...layer.norms, ...layer.biases })) await add(`${i} ${name}`, vector);
    for (const [name, weight] of Object.entries(layer.linear)) {
      if (weight.kind !== 'nf4') await add(`${i} ${name}`, weight.data);
      else {
        await add(`${i} ${name} packed`, weight.packed);
        await add(`${i} ${name} absmax`, weight.absmax);
        if (weight.nested !== undefined) await add(`${i} ${name} nested`, weight.nested);
      }
    }
  }
  return bits;
}

export async function logitsOf(student: Student): Promise<Float32Array> {
  const trainer = new Trainer(student, undefined, {
    limits: { tokens: 16, targets: 16, sequences: 1 },
    scoringOnly: true,
  });
  try {
    await trainer.ready();
    return await trainer.logits(packSequences([{ ids: [1, 5, 9, 13, 17, 21] }]));
  } finally {
    trainer.destroy();
  }
}

export const keysIn = (place: MemoryCachePlace): string[] => [...place.entries.keys()];

export async function onlyEntry(place: MemoryCachePlace): Promise<Map<string, Uint8Array>> {
  expect(await new StudentCache(place).list()).toHaveLength(1);
  return place.entries.get(keysIn(place)[0]!)!;
}
