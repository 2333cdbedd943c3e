// studentSink.ts: writes a student into the cache while it streams to the GPU. Whatever goes wrong here, the student loads:
// the first failure ends the writing, takes away what was written, and is told once.
import { PupilError } from '../base/errors';
import { NF4_BLOCK, NF4_NESTED_BLOCK } from '../base/nf4';
import { bnb4bitTensors, isBnb4bitWeight, readBnb4bitDtype, withBnb4bitConfig } from '../formats/bnb4bit';
import { readWhole, type OpenFile } from '../formats/byteSource';
import type { Checkpoint } from '../formats/checkpointIndex';
import { COMPANION_FILES, MAX_COMPANION_BYTES } from '../formats/companionFiles';
import type { ModelConfig } from '../formats/modelConfig';
import type { SafetensorsLayout } from '../formats/safetensorsWrite';
import { layoutStudent, type PackedTensor } from '../formats/studentLayout';
import type { StudentOrigin, StudentSettings } from '../formats/studentManifest';
import type { StoredNf4, WeightSink } from '../formats/weightSink';
import { parameterShapes } from '../model/parameterShapes';
import { showBytes, type StudentCache } from '../storage/studentCache';
import type { StudentWriter } from '../storage/studentWriter';

const WEIGHTS = 'model.safetensors';
/** For the manifest and what a file system takes for itself. */
const SLACK_BYTES = 2 ** 20;

/** The settings under which a student is packed. */
export function settingsOf(quantize: StudentSettings['quantize']): StudentSettings {
  return { quantize, blockSize: NF4_BLOCK, nestedBlockSize: NF4_NESTED_BLOCK };
}

/** What is written: the student as it is, and as what. */
export interface CachedCopy {
  key: string;
  origin: StudentOrigin;
  checkpoint: Checkpoint;
  config: ModelConfig;
  /** The files beside the weights. */
  open: OpenFile;
}

/** How each weight will be packed: as it is stored, or as the settings say where it is a linear one. */
async function packedTensors({ checkpoint, config, origin }: CachedCopy): Promise<PackedTensor[]> {
  const { quantize } = origin.settings;
  const weights: PackedTensor[] = [];
  for (const { name, shape } of Object.values(parameterShapes(config)).flat()) {
    const { dtype } = checkpoint.info(name);
    const matrix = [shape[0]!, shape[1] ?? 1] as const;
    if (isBnb4bitWeight(checkpoint, name)) {
      const form = checkpoint.has(`${name}.nested_absmax`) ? 'nf4-double' : 'nf4';
      weights.push({ name, shape: matrix, form, dtype: await readBnb4bitDtype(checkpoint, name) });
    } else if (quantize !== 'none' && shape.length === 2 && name.startsWith('model.layers.')) {
      weights.push({ name, shape: matrix, form: quantize, dtype: dtype === 'f16' || dtype === 'bf16' ? dtype : 'f32' });
    } else {
      weights.push({ name, shape, form: 'dense', dtype });
    }
  }
  return weights;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

export class StudentSink implements WeightSink {
  private failed = false;

  private constructor(
    private readonly cache: StudentCache,
    private readonly writer: StudentWriter,
    private readonly layout: SafetensorsLayout,
    private readonly weights: ReadonlyMap<string, PackedTensor>,
    private readonly onFailure: (why: unknown) => void,
  ) {}

  /**
   * Begins the entry with everything but the weights. Never throws.
   * @param onFailure told why the student is not cached, once at the most
   * @returns undefined where it is not to be written: no room, or another tab writes it
   */
  static async begin(
    cache: StudentCache,
    copy: CachedCopy,
    onFailure: (why: unknown) => void,
  ): Promise<StudentSink | undefined> {
    let writer: StudentWriter | undefined;
    let neededBytes = 0;
    try {
      const weights = await packedTensors(copy);
      const layout = layoutStudent(weights);
      const { quantize } = copy.origin.settings;
      const config =
        quantize === 'none'
          ? copy.checkpoint.config
          : withBnb4bitConfig(copy.checkpoint.config, quantize === 'nf4-double');
      const configBytes = new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
      const small = new Map<string, Uint8Array>([['config.json', configBytes]]);
      for (const name of COMPANION_FILES) {
        const file = await copy.open(name);
        if (file !== undefined) small.set(name, await readWhole(file, MAX_COMPANION_BYTES));
      }
      const smallBytes = [...small.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
      neededBytes = layout.totalBytes + smallBytes + SLACK_BYTES;
      writer = await cache.begin(copy.key, copy.origin, neededBytes);
      if (writer === undefined) {
        throw new PupilError('storage', 'another tab or process is writing it at this moment');
      }
      for (const [name, bytes] of small) await writer.whole(name, bytes);
      await writer.create(WEIGHTS, layout.totalBytes);
      await writer.write(WEIGHTS, 0, layout.header, 'header');
      const byName = new Map(weights.map((weight) => [weight.name, weight]));
      return new StudentSink(cache, writer, layout, byName, onFailure);
    } catch (error) {
      await writer?.abort();
      onFailure(writer === undefined ? error : await whyNot(cache, error, neededBytes));
      return undefined;
    }
  }

  async dense(
    name: string,
    info: { dtype: string; sizeBytes: number },
    start: number,
    bytes: Uint8Array,
  ): Promise<void> {
    await this.guarded(async () => {
      const place = this.placeOf(name, info.sizeBytes);
      if (place.dtype !== info.dtype) throw unlike(name, place.dtype, info.dtype);
      await this.writer.write(WEIGHTS, place.start + start, bytes, name);
    });
  }

  async nf4(name: string, weight: StoredNf4): Promise<void> {
    await this.guarded(async () => {
      const planned = this.weights.get(name);
      if (planned === undefined || planned.form === 'dense') throw unlike(name, planned?.form ?? 'nothing', 'NF4');
      for (const tensor of bnb4bitTensors(name, { ...weight, dtype: planned.dtype }, true)) {
        const bytes = bytesOf(tensor.data);
        await this.writer.write(WEIGHTS, this.placeOf(tensor.name, bytes.byteLength).start, bytes, tensor.name);
      }
    });
  }

  /** Makes an entry of it: to be called when the student is loaded. Whether there is one now. */
  async commit(): Promise<boolean> {
    await this.guarded(async () => {
      const manifest = await this.writer.commit();
      await this.cache.deleteOlder(manifest).catch(() => undefined); // it is there, whatever becomes of the others
    });
    return !this.failed;
  }

  /** The student did not load: nothing is kept. */
  abort(): Promise<void> {
    return this.writer.abort();
  }

  private placeOf(name: string, sizeBytes: number): { dtype: string; start: number } {
    const place = this.layout.tensors.get(name);
    if (place === undefined) throw unlike(name, 'nothing', `${sizeBytes} bytes`);
    if (place.end - place.start !== sizeBytes) {
      throw unlike(name, `${place.end - place.start} bytes`, `${sizeBytes} bytes`);
    }
    return place;
  }

  private async guarded(write: () => Promise<void>): Promise<void> {
    if (this.failed) return;
    try {
      await write();
    } catch (error) {
      this.failed = true;
      await this.writer.abort();
      this.onFailure(await whyNot(this.cache, error, this.layout.totalBytes));
    }
  }
}

/** Of storage that ran full in the middle: how much the student needs, and what could go. */
async function whyNot(cache: StudentCache, error: unknown, neededBytes: number): Promise<unknown> {
  if (!(error instanceof PupilError) || error.code !== 'storage-full') return error;
  const message = `${error.message}; the whole student needs ${showBytes(neededBytes)}`;
  return new PupilError('storage-full', message, await cache.whenFull(), { cause: error });
}

function unlike(name: string, expected: string, got: string): PupilError {
  return new PupilError('storage', `student cache: "${name}": expected ${expected}, as planned, got ${got}`);
}
