// files.ts: the little that recipes need of a place with files, and how a student and an adapter are loaded from it. Places
// themselves are sources/.
import { PupilError } from '../base/errors';
import type { ProgressListener } from '../base/progress';
import type { OpenFile } from '../formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../formats/checkpointIndex';
import { parseModelConfig } from '../formats/modelConfig';
import { readPeftAdapter, type AdapterFile } from '../formats/peft';
import type { Gpu } from '../gpu/device';
import { Student } from '../model/student';
import { type Quantization } from '../model/parameterShapes';

/** A place to read from; sources/fileRoot.ts has several. */
export interface ReadableFiles {
  open: OpenFile;
  readBytes(path: string): Promise<Uint8Array>;
  readText(path: string): Promise<string>;
}

/** A place to write to. */
export interface WritableFiles {
  write(path: string, bytes: Uint8Array): Promise<void>;
}

/** The files of a folder, by their paths within it. */
export function filesIn(files: Pick<ReadableFiles, 'open'>, folder: string): OpenFile {
  const prefix = folder === '' || folder.endsWith('/') ? folder : `${folder}/`;
  return (path) => files.open(prefix + path);
}

/** A checkpoint's files and its weights on the GPU. */
export async function loadStudent(
  gpu: Gpu,
  files: Pick<ReadableFiles, 'open'>,
  folder: string,
  options: { quantize: Quantization; onProgress?: ProgressListener; signal?: AbortSignal },
): Promise<{ student: Student; checkpoint: Checkpoint }> {
  const checkpoint = await openCheckpoint(filesIn(files, folder), folder);
  parseModelConfig(checkpoint.config, `${folder}/config.json`); // refuses by the file's full name
  return { checkpoint, student: await Student.load(gpu, checkpoint, options) };
}

/** A PEFT adapter folder. */
export function loadAdapterFile(files: Pick<ReadableFiles, 'open'>, folder: string): Promise<AdapterFile> {
  return readPeftAdapter(filesIn(files, folder), folder);
}

/** A value that must be one of a few words. Throws `usage`. */
export function oneOf<T extends string>(name: string, value: unknown, words: readonly T[]): T {
  if (typeof value === 'string' && (words as readonly string[]).includes(value)) return value as T;
  throw new PupilError('usage', `${name}: expected ${words.join(', ')}, got ${JSON.stringify(value) ?? 'nothing'}`);
}
