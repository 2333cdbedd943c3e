// inspectInput.ts: what `inspect` reads: options, batches of token ids in safetensors, and preference pairs in JSON, checked
// before any work starts.
import { PupilError } from '../base/errors';
import { readSafetensorsHeader, tensorReader, type TensorReader } from '../formats/safetensors';
import { IGNORED, type Sequence } from '../model/batch';
import type { ReadableFiles, WritableFiles } from './files';

export type OptionValues = Record<string, string | number | boolean | undefined>;

/** One inspection: what, from where, to where. */
export interface InspectJob {
  kind: 'logits' | 'gradients' | 'dpo' | 'generate' | 'nf4';
  files: ReadableFiles;
  out: WritableFiles;
  /** Paths and numbers, named as the command line's flags in camelCase. */
  options: OptionValues;
}

const dashed = (name: string): string => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

/** The named options of one inspection. Every reader throws `usage` naming the flag. */
export class InspectOptions {
  constructor(
    private readonly kind: string,
    private readonly values: OptionValues,
  ) {}

  private refuse(name: string, expected: string): never {
    const value = this.values[name];
    throw new PupilError(
      'usage',
      `inspect ${this.kind}: ${dashed(name)}: expected ${expected}, got ${value === undefined ? 'nothing' : JSON.stringify(value)}`,
      `See \`pupil inspect ${this.kind} --help\`.`,
    );
  }

  path(name: string): string {
    return this.optionalPath(name) ?? this.refuse(name, 'a path');
  }

  optionalPath(name: string): string | undefined {
    const value = this.values[name];
    if (value === undefined) return undefined;
    return typeof value === 'string' && value !== '' ? value : this.refuse(name, 'a path');
  }

  text(name: string, standard: string): string {
    const value = this.values[name] ?? standard;
    return typeof value === 'string' ? value : this.refuse(name, 'a word');
  }

  /** A finite number ≥ 0. Without a standard it must be given. */
  number(name: string, standard?: number): number {
    const value = this.values[name] ?? standard;
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    return typeof number === 'number' && Number.isFinite(number) && number >= 0
      ? number
      : this.refuse(name, 'a number ≥ 0');
  }

  flag(name: string): boolean {
    return this.values[name] === true || this.values[name] === 'true';
  }
}

/** A right-padded batch as its sequences without padding. */
export interface InspectBatch {
  B: number;
  T: number;
  /** One a row; labels where the file has them. */
  sequences: Sequence[];
}

/**
 * `input_ids`, `attention_mask` and (where asked for) `labels`, all integers of shape [B, T], right-padded.
 * @throws PupilError `format` naming tensor, row and what was expected.
 */
export async function readBatch(
  files: ReadableFiles,
  path: string,
  vocabSize: number,
  withLabels: boolean,
): Promise<InspectBatch> {
  const source = await files.open(path);
  if (source === undefined) throw new PupilError('source', `${path}: expected a safetensors file, there is none`);
  const file = tensorReader(await readSafetensorsHeader(source));
  const ids = await matrix(file, path, 'input_ids');
  const [B, T] = ids.shape;
  const mask = file.has('attention_mask')
    ? (await matrix(file, path, 'attention_mask', ids.shape)).data
    : new Float64Array(B * T).fill(1);
  const labels = withLabels ? (await matrix(file, path, 'labels', ids.shape)).data : undefined;
  const sequences = Array.from({ length: B }, (_, b): Sequence => {
    const row = (values: Float64Array): number[] => Array.from(values.subarray(b * T, (b + 1) * T));
    const rowMask = row(mask);
    const length = rowMask.filter((bit) => bit !== 0).length;
    if (rowMask.some((bit, t) => (bit !== 0) !== t < length)) {
      throw new PupilError('format', `${path}: attention_mask: expected right padding, row ${b} has a gap`);
    }
    if (length === 0)
      throw new PupilError('format', `${path}: attention_mask: expected tokens in row ${b}, it has none`);
    const own = row(ids.data).slice(0, length);
    const bad = own.find((id) => id < 0 || id >= vocabSize);
    if (bad !== undefined) {
      throw new PupilError('format', `${path}: input_ids: expected ids in 0 … ${vocabSize - 1}, row ${b} has ${bad}`);
    }
    if (labels === undefined) return { ids: own };
    const ownLabels = row(labels).slice(0, length);
    const badLabel = ownLabels.find((label) => label !== IGNORED && (label < 0 || label >= vocabSize));
    if (badLabel !== undefined) {
      throw new PupilError('format', `${path}: labels: expected ids or −100, row ${b} has ${badLabel}`);
    }
    return { ids: own, labels: ownLabels };
  });
  return { B, T, sequences };
}

async function matrix(
  file: TensorReader,
  path: string,
  name: string,
  shape?: readonly [number, number],
): Promise<{ shape: [number, number]; data: Float64Array }> {
  if (!file.has(name)) throw new PupilError('format', `${path}: expected a tensor ${name}, there is none`);
  const found = file.info(name).shape;
  const fits = found.length === 2 && (shape === undefined || (found[0] === shape[0] && found[1] === shape[1]));
  if (!fits) {
    const expected = shape === undefined ? '[B, T]' : `[${shape.join(', ')}]`;
    throw new PupilError('format', `${path}: ${name}: expected shape ${expected}, got [${found.join(', ')}]`);
  }
  const data = await file.readNumbers(name);
  if (data.some((value) => !Number.isInteger(value))) {
    throw new PupilError('format', `${path}: ${name}: expected integers`);
  }
  return { shape: [found[0]!, found[1]!], data };
}

export interface InspectPair {
  prompt: number[];
  chosen: number[];
  rejected: number[];
}

/** `[{"prompt":[ids],"chosen":[ids],"rejected":[ids]}]`. Throws `format` naming the pair. */
export function parsePairs(text: string, path: string, vocabSize: number): InspectPair[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PupilError('format', `${path}: expected JSON, ${(cause as Error).message}`, undefined, { cause });
  }
  if (!Array.isArray(value) || value.length === 0) {
    throw new PupilError('format', `${path}: expected a list of at least one pair`);
  }
  value.forEach((pair: unknown, p) => {
    for (const name of ['prompt', 'chosen', 'rejected'] as const) {
      const ids = (pair as Partial<InspectPair> | null)?.[name];
      if (
        !Array.isArray(ids) ||
        ids.length === 0 ||
        ids.some((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize))
      ) {
        throw new PupilError(
          'format',
          `${path}: pair ${p}: ${name}: expected token ids in 0 … ${vocabSize - 1}, at least one`,
        );
      }
    }
  });
  return value as InspectPair[];
}
