// inspectInput.ts: what `inspect` reads: options, batches of token ids in safetensors, and preference pairs in JSON, checked
// before any work starts.
import { PupilError } from '../base/errors';
import { readSafetensorsHeader, tensorReader, type TensorReader } from '../formats/safetensors';
import { IGNORED, type Sequence } from '../model/batch';
import type { Quantization } from '../model/parameterShapes';
import type { Student } from '../model/student';
import type { ReadableFiles, WritableFiles } from './files';

export type OptionValues = Record<string, string | number | boolean | undefined>;

/** One inspection: what, from where, to where. */
export interface InspectJob {
  kind: 'logits' | 'gradients' | 'dpo' | 'generate' | 'nf4';
  files: ReadableFiles;
  out: WritableFiles;
  /** Paths and numbers, named as the command line's flags in camelCase. */
  options: OptionValues;
  /** How a student's weights are loaded from a folder of `files`, where not straight from there (from a cache, say). */
  load?: ((folder: string, quantize: Quantization) => Promise<Student>) | undefined;
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

/** The student's sizes that ids and lengths must keep. */
export interface IdLimits {
  vocabSize: number;
  maxPositions: number;
}

/** Throws `format` unless all of `ids` are token ids and, with `room` for more, fit the student's context. */
function expectIds(where: string, ids: readonly number[], { vocabSize, maxPositions }: IdLimits, room = 0): void {
  const bad = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
  if (bad !== undefined) {
    throw new PupilError(
      'format',
      `${where}: expected token ids in 0 … ${vocabSize - 1}, got ${JSON.stringify(bad)}`,
      'The ids are of another tokenizer than the student, or the student is another one.',
    );
  }
  if (ids.length + room <= maxPositions) return;
  const got = room === 0 ? `${ids.length}` : `${ids.length} and ${room} new ones`;
  throw new PupilError(
    'format',
    `${where}: expected at most ${maxPositions} tokens, the student's context (max_position_embeddings), got ${got}`,
    'Shorten it.',
  );
}

/**
 * `input_ids`, `attention_mask` and (where asked for) `labels`, all integers of shape [B, T], right-padded.
 * @throws PupilError `format` naming file, tensor, row and what was expected.
 */
export async function readBatch(
  files: ReadableFiles,
  path: string,
  limits: IdLimits,
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
    const badBit = rowMask.find((bit) => bit !== 0 && bit !== 1);
    if (badBit !== undefined) {
      throw new PupilError('format', `${path}: attention_mask: expected 0 or 1, row ${b} has ${badBit}`);
    }
    const length = rowMask.filter((bit) => bit === 1).length;
    if (rowMask.some((bit, t) => (bit === 1) !== t < length)) {
      throw new PupilError('format', `${path}: attention_mask: expected right padding, row ${b} has a gap`);
    }
    if (length === 0) {
      throw new PupilError('format', `${path}: attention_mask: expected tokens in row ${b}, it has none`);
    }
    const own = row(ids.data).slice(0, length);
    expectIds(`${path}: input_ids: row ${b}`, own, limits);
    if (labels === undefined) return { ids: own };
    const ownLabels = row(labels).slice(0, length);
    const badLabel = ownLabels.find((label) => label !== IGNORED && (label < 0 || label >= limits.vocabSize));
    if (badLabel !== undefined) {
      throw new PupilError(
        'format',
        `${path}: labels: expected ids in 0 … ${limits.vocabSize - 1} or −100, row ${b} has ${badLabel}`,
      );
    }
    return { ids: own, labels: ownLabels };
  });
  return { B, T, sequences };
}

const INTEGERS: ReadonlySet<string> = new Set(['i64', 'i32', 'i16', 'i8', 'u64', 'u32', 'u16', 'u8', 'bool']);

async function matrix(
  file: TensorReader,
  path: string,
  name: string,
  shape?: readonly [number, number],
): Promise<{ shape: [number, number]; data: Float64Array }> {
  if (!file.has(name)) {
    const found = file.tensorNames.length === 0 ? 'nothing' : file.tensorNames.slice(0, 8).join(', ');
    throw new PupilError('format', `${path}: expected a tensor ${name}, the file has ${found}`);
  }
  const { shape: found, dtype } = file.info(name);
  if (!INTEGERS.has(dtype)) {
    throw new PupilError(
      'format',
      `${path}: ${name}: expected I64, got ${dtype.toUpperCase()}`,
      'Save ids as integers.',
    );
  }
  const fits = found.length === 2 && (shape === undefined || (found[0] === shape[0] && found[1] === shape[1]));
  if (!fits) {
    const expected = shape === undefined ? '[B, T]' : `[${shape.join(', ')}]`;
    throw new PupilError('format', `${path}: ${name}: expected shape ${expected}, got [${found.join(', ')}]`);
  }
  return { shape: [found[0]!, found[1]!], data: await file.readNumbers(name) };
}

export interface InspectPair {
  prompt: number[];
  chosen: number[];
  rejected: number[];
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new PupilError('format', `${path}: expected JSON, ${(cause as Error).message}`, undefined, { cause });
  }
}

const isList = (value: unknown): value is number[] => Array.isArray(value) && value.length > 0;

/** `[{"prompt":[ids],"chosen":[ids],"rejected":[ids]}]`. Throws `format` naming file and pair. */
export function parsePairs(text: string, path: string, limits: IdLimits): InspectPair[] {
  const value = parseJson(text, path);
  if (!Array.isArray(value) || value.length === 0) {
    throw new PupilError('format', `${path}: expected a list of at least one pair`);
  }
  return value.map((pair: Partial<InspectPair> | null, p) => {
    const list = (name: keyof InspectPair): number[] => {
      const ids: unknown = pair?.[name];
      if (isList(ids)) return ids;
      throw new PupilError(
        'format',
        `${path}: pair ${p}: ${name}: expected a list of at least one token id, got ${JSON.stringify(ids) ?? 'nothing'}`,
        'A pair looks like {"prompt": [1, 5], "chosen": [7, 2], "rejected": [9, 2]}.',
      );
    };
    const read = { prompt: list('prompt'), chosen: list('chosen'), rejected: list('rejected') };
    for (const name of ['prompt', 'chosen', 'rejected'] as const) {
      expectIds(`${path}: pair ${p}: ${name}`, read[name], { ...limits, maxPositions: Infinity });
    }
    expectIds(`${path}: pair ${p}: prompt and chosen`, [...read.prompt, ...read.chosen], limits);
    expectIds(`${path}: pair ${p}: prompt and rejected`, [...read.prompt, ...read.rejected], limits);
    return read;
  });
}

/** `[[ids], …]`, each with room for so many new tokens. Throws `format` naming file and prompt. */
export function parsePrompts(text: string, path: string, limits: IdLimits, maxNewTokens: number): number[][] {
  const value = parseJson(text, path);
  if (!Array.isArray(value)) {
    throw new PupilError('format', `${path}: expected a list of prompts, each a list of token ids: [[1, 2], [3]]`);
  }
  return value.map((ids: unknown, p) => {
    if (!isList(ids)) {
      throw new PupilError(
        'format',
        `${path}: prompt ${p}: expected a list of at least one token id, got ${JSON.stringify(ids)}`,
        'The file looks like [[1, 2], [3]].',
      );
    }
    expectIds(`${path}: prompt ${p}`, ids, limits, maxNewTokens);
    return ids;
  });
}
