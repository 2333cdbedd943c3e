// changesLink.ts: changes of an experiment as a short text for the page's address, and back: JSON, deflated, in the letters that an
// address takes. Texts of demonstrations (edits by hand) are data and never in it. What comes from an address is taken for
// hostile: it is bounded while it is unpacked, and whoever asks must check the experiment that comes of it.
import { PupilError } from '../../base/errors';
import { asChanges, differencesOf, withChanges, type ChangeSet } from '../../config/differences';
import { checkExperiment } from '../../config/experiment';
import { formatPath } from '../../config/seriesPaths';
import { isFields } from '../../config/settingValues';

/** The letters of a link: what chat programs and servers let through. */
export const MOST_CHARACTERS = 6000;
/** Unpacked. */
const MOST_BYTES = 2 ** 18;
/** Of the form of this text, so that another one can be told apart. */
const VERSION = '1';

async function through(bytes: Uint8Array, stream: CompressionStream | DecompressionStream): Promise<Uint8Array> {
  const reader = new Blob([bytes.slice()]).stream().pipeThrough(stream).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MOST_BYTES) {
      await reader.cancel();
      throw new Error(`more than ${MOST_BYTES} bytes`);
    }
    chunks.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** '' for no changes. */
export async function encodeChanges(changes: Readonly<ChangeSet>): Promise<string> {
  if (Object.keys(changes).length === 0) return '';
  const json = new TextEncoder().encode(JSON.stringify(changes));
  const packed = await through(json, new CompressionStream('deflate-raw'));
  const text = btoa(String.fromCharCode(...packed));
  return VERSION + text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** @throws PupilError `config` for anything that {@link encodeChanges} does not write. */
export async function decodeChanges(text: string): Promise<ChangeSet> {
  const refuse = (what: string, cause?: unknown): never => {
    throw new PupilError(
      'config',
      `changes in the address: expected those of an experiment, got ${what}`,
      'Part of the link was lost, or it is of another version of Pupil. Ask for the experiment file.',
      { cause },
    );
  };
  if (text === '') return {};
  if (text.length > 4 * MOST_CHARACTERS) return refuse(`${text.length} characters`);
  if (!text.startsWith(VERSION) || !/^[\w-]+$/.test(text)) return refuse(`"${text.slice(0, 24)}…"`);
  let changes: unknown;
  try {
    const packed = atob(text.slice(VERSION.length).replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = await through(
      Uint8Array.from(packed, (letter) => letter.charCodeAt(0)),
      new DecompressionStream('deflate-raw'),
    );
    changes = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    return refuse('something that cannot be unpacked', cause);
  }
  return isFields(changes) ? changes : refuse('no list of changes');
}

/** An experiment as another one and changes of it. */
export interface ExperimentLink {
  changes: string;
  /** Paths of what is not in it: data, or too long. */
  leftOut: readonly string[];
}

/** The document without the texts that a person wrote into demonstrations. */
function withoutData(document: unknown): { document: unknown; leftOut: string[] } {
  const entries = (document as { demonstrations?: unknown } | null)?.demonstrations;
  if (!Array.isArray(entries)) return { document, leftOut: [] };
  const leftOut = entries.flatMap((entry, i) =>
    isFields(entry) && 'edits' in entry ? [`demonstrations[${i}].edits`] : [],
  );
  if (leftOut.length === 0) return { document, leftOut };
  const demonstrations = entries.map((entry: unknown) => {
    if (!isFields(entry)) return entry;
    const { edits: _, ...others } = entry;
    return others;
  });
  return { document: { ...(document as object), demonstrations }, leftOut };
}

/**
 * The changes that make `document` of `base`, its seed aside, which an address has a place of its own for. Where they are too
 * long the longest are left out; where what is left would be no experiment, all are.
 */
export async function linkOf(base: unknown, document: unknown, most = MOST_CHARACTERS): Promise<ExperimentLink> {
  const { document: plain, leftOut } = withoutData(document);
  const differences = differencesOf(withoutData(base).document, plain).filter(({ path }) => path[0] !== 'seed');
  const bySize = [...differences].sort(
    (a, b) => JSON.stringify(a.now ?? null).length - JSON.stringify(b.now ?? null).length,
  );
  const left = [...leftOut];
  let kept = differences;
  let changes = await encodeChanges(asChanges(kept));
  while (changes.length > most) {
    const longest = bySize.pop()!;
    left.push(formatPath(longest.path));
    kept = kept.filter((one) => one !== longest);
    changes = await encodeChanges(asChanges(kept));
  }
  if (kept.length < differences.length) {
    const made = withChanges(base, asChanges(kept));
    if (!('document' in made) || checkExperiment(made.document).experiment === undefined) {
      return { changes: '', leftOut: [...leftOut, ...differences.map(({ path }) => formatPath(path))] };
    }
  }
  return { changes, leftOut: left };
}
