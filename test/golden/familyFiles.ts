// familyFiles.ts: the checkpoints of test/fixtures/families as files in memory, whole or changed on purpose, for tests that
// take them through the session. What a student computes from them is families.test.ts. Tests only.
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memorySource } from '../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../src/formats/checkpointIndex';
import type { JsonObject } from '../../src/formats/jsonText';
import { parseModelConfig, type ModelConfig } from '../../src/formats/modelConfig';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../../src/formats/safetensorsWrite';

export const FAMILIES = fileURLToPath(new URL('../fixtures/families/', import.meta.url));
/** One name a fixture. */
export const FAMILY_NAMES = readdirSync(FAMILIES).filter((name) => existsSync(join(FAMILIES, name, 'expected.json')));

/** One of each family, with what is particular to it. */
export const ONE_OF_EACH = [
  'llama-biases',
  'mistral-window',
  'qwen2-window',
  'qwen3-bias-window',
  'gemma2-published-caps',
];

/** Whether this is the repetition on a second driver that every run of the tests makes: there one of each family has to do. */
export const SECOND_DRIVER =
  process.env['PUPIL_NODE_ADAPTER'] === 'lavapipe' && process.env['PUPIL_TEST_LONG'] === undefined;
export const NAMES_HERE = SECOND_DRIVER ? ONE_OF_EACH : FAMILY_NAMES;

export type Files = Record<string, Uint8Array>;

const isStudentFile = (name: string): boolean =>
  name === 'config.json' || (name.startsWith('model') && name !== 'expected.safetensors');

/** Files of a fixture: student/, adapter/ and `batch`, which `inspect` reads. */
export function familyFiles(name: string): Files {
  const folder = join(FAMILIES, name);
  const read = (path: string): Uint8Array => new Uint8Array(readFileSync(join(folder, path)));
  const files: Files = { batch: read('expected.safetensors') };
  for (const path of readdirSync(folder).filter(isStudentFile)) files[`student/${path}`] = read(path);
  for (const path of readdirSync(join(folder, 'adapter'))) files[`adapter/${path}`] = read(`adapter/${path}`);
  return files;
}

/** A folder of such files as a checkpoint. */
export function checkpointIn(files: Files, folder = 'student'): Promise<Checkpoint> {
  return openCheckpoint((path) => {
    const bytes = files[`${folder}/${path}`];
    return Promise.resolve(bytes === undefined ? undefined : memorySource(path, bytes));
  }, folder);
}

export async function configIn(files: Files, folder = 'student'): Promise<ModelConfig> {
  return parseModelConfig((await checkpointIn(files, folder)).config);
}

/** Every tensor of the student as it is stored. */
export async function storedTensors(files: Files, folder = 'student'): Promise<TensorData[]> {
  const checkpoint = await checkpointIn(files, folder);
  return Promise.all(
    checkpoint.tensorNames.map(async (name) => {
      const { dtype, shape } = checkpoint.info(name);
      return { name, dtype, shape, data: await checkpoint.readBytes(name) };
    }),
  );
}

/** The files with another student: keys of config.json replaced, each tensor changed, dropped or joined by others. */
export async function changed(
  files: Files,
  keys: JsonObject,
  change: (tensor: TensorData) => TensorData[] = (tensor) => [tensor],
): Promise<Files> {
  const { config } = await checkpointIn(files);
  const tensors = (await storedTensors(files)).flatMap(change);
  const rest = Object.entries(files).filter(([path]) => !path.startsWith('student/'));
  return {
    ...Object.fromEntries(rest),
    'student/config.json': new TextEncoder().encode(JSON.stringify({ ...config, ...keys })),
    'student/model.safetensors': writeSafetensors(inLibraryOrder(tensors), { format: 'pt' }),
  };
}
