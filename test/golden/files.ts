// files.ts: golden fixtures and checkpoints from disk, as the formats floor reads them. Tests only.
import { open, readFile } from 'node:fs/promises';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import type { ByteSource } from '../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../src/formats/checkpointIndex';
import { readPeftAdapter, type AdapterFile } from '../../src/formats/peft';
import { readSafetensorsHeader, tensorReader, type TensorReader } from '../../src/formats/safetensors';

export const GOLDEN = fileURLToPath(new URL('../fixtures/golden/', import.meta.url));
export const LESSON = fileURLToPath(new URL('../fixtures/lesson/', import.meta.url));

function diskSource(path: string): ByteSource {
  return {
    name: path,
    size: statSync(path).size,
    async read(start, end) {
      const file = await open(path);
      try {
        const bytes = new Uint8Array(end - start);
        await file.read(bytes, 0, end - start, start);
        return bytes;
      } finally {
        await file.close();
      }
    },
  };
}

export function checkpointAt(directory: string): Promise<Checkpoint> {
  return openCheckpoint(
    (path) => Promise.resolve(existsSync(join(directory, path)) ? diskSource(join(directory, path)) : undefined),
    directory,
  );
}

export function adapterAt(directory: string): Promise<AdapterFile> {
  return readPeftAdapter(
    (path) => Promise.resolve(existsSync(join(directory, path)) ? diskSource(join(directory, path)) : undefined),
    directory,
  );
}

export async function tensorsAt(path: string): Promise<TensorReader> {
  return tensorReader(await readSafetensorsHeader(diskSource(path)));
}

export async function jsonAt<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T;
}
