// adapterNote.ts: `pupil.json` beside a PEFT adapter's two files: over which weights it was trained. PEFT has no field for a
// base that was quantised while training, and ignores files that it does not know; without the note nobody can tell later
// which merged weights give the outputs that the adapter was evaluated with.
import { PupilError } from '../base/errors';
import { readWhole, type OpenFile } from './byteSource';
import { isJsonObject, parseJsonObject } from './jsonText';

const NOTE_FILE = 'pupil.json';
const FORMAT = 'pupil-adapter-note';
const MAX_NOTE_BYTES = 2 ** 20;
const QUANTIZATIONS = ['none', 'nf4', 'nf4-double'] as const;

export interface AdapterNote {
  runId: string;
  /** The student that it was trained on. */
  student: {
    source: string;
    /** Of config and tensor table, as in report.json. */
    fingerprint: string;
    /** How its linear layers were held while training. */
    quantize: (typeof QUANTIZATIONS)[number];
  };
}

/** The file by its name, as the files of a PEFT adapter are given. */
export function writeAdapterNote({ runId, student }: AdapterNote): Record<string, Uint8Array<ArrayBuffer>> {
  const { source, fingerprint, quantize } = student;
  const note = { format: FORMAT, runId, student: { source, fingerprint, quantize } };
  return { [NOTE_FILE]: new TextEncoder().encode(`${JSON.stringify(note, null, 2)}\n`) };
}

/**
 * The note of an adapter folder; undefined where there is none (an adapter of PEFT's own).
 * @throws PupilError `format` where the file is there and is no such note
 */
export async function readAdapterNote(open: OpenFile): Promise<AdapterNote | undefined> {
  const source = await open(NOTE_FILE);
  if (source === undefined) return undefined;
  const { format, runId, student } = parseJsonObject(await readWhole(source, MAX_NOTE_BYTES), source.name);
  if (format === FORMAT && typeof runId === 'string' && isJsonObject(student)) {
    const { source: path, fingerprint } = student;
    const quantize = QUANTIZATIONS.find((word) => word === student['quantize']);
    if (typeof path === 'string' && typeof fingerprint === 'string' && quantize !== undefined) {
      return { runId, student: { source: path, fingerprint, quantize } };
    }
  }
  throw new PupilError(
    'format',
    `${source.name}: expected the note that a run of Pupil writes beside its adapter, got something else`,
    'Remove the file, and say --quantize yourself.',
  );
}
