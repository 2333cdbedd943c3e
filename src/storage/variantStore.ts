// variantStore.ts: where the measured choice of kernel variants is remembered, by a key that names adapter and versions. What
// is in the texts is the session's business. Losing one costs a measurement, so nothing here is durable or checked.
import { sha256Of } from '../formats/trainingCheckpoint';
import type { NamedFiles } from './filesPlace';

/** IndexedDB's is in indexedDb.ts. */
export interface VariantStore {
  /** Undefined where nothing is remembered. Throws what the place throws. */
  loadVariants(key: string): Promise<string | undefined>;
  /** Replaces what was remembered under this key. */
  saveVariants(key: string, text: string): Promise<void>;
}

/** As long as the process lives. */
export class MemoryVariantStore implements VariantStore {
  readonly texts = new Map<string, string>();

  loadVariants(key: string): Promise<string | undefined> {
    return Promise.resolve(this.texts.get(key));
  }

  saveVariants(key: string, text: string): Promise<void> {
    this.texts.set(key, text);
    return Promise.resolve();
  }
}

/** One file a key in a folder, whatever offers the files: a disk, or the command line's file server. */
export class FilesVariantStore implements VariantStore {
  constructor(private readonly files: Pick<NamedFiles, 'open' | 'write'>) {}

  async loadVariants(key: string): Promise<string | undefined> {
    const file = await this.files.open(await fileName(key));
    return file === undefined ? undefined : new TextDecoder().decode(await file.read(0, file.size));
  }

  async saveVariants(key: string, text: string): Promise<void> {
    await this.files.write(await fileName(key), new TextEncoder().encode(text));
  }
}

/** A key holds whatever adapters call themselves, which is no file name. */
async function fileName(key: string): Promise<string> {
  return `${(await sha256Of(new TextEncoder().encode(key))).slice(0, 16)}.json`;
}
