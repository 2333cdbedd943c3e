// changes.ts: whether two experiments are the same one: what a resumed run must share with its beginning, and what a finished
// run must share with the one that is asked for. It compares complete experiments, defaults filled in.

/** Parts that change no number: names, remarks, and how often is saved. */
const IGNORED: ReadonlySet<string> = new Set(['limits', 'name', 'notes', '$schema']);
/** What says where a file lies. */
const PLACES: ReadonlySet<string> = new Set(['files', 'path']);

type Document = Readonly<Record<string, unknown>>;

/** Top-level parts that differ; limits, name and notes may. */
export function experimentChanges(before: Document, now: Document): string[] {
  return changesOf(before, now, (value) => JSON.stringify(value));
}

/** As {@link experimentChanges} where files may have moved: whoever asks must compare what they hold. */
export function changesBesidePlaces(before: Document, now: Document): string[] {
  const withoutPlaces = (key: string, part: unknown): unknown => (PLACES.has(key) ? undefined : part);
  return changesOf(before, now, (value) => JSON.stringify(value, withoutPlaces));
}

function changesOf(before: Document, now: Document, text: (value: unknown) => string | undefined): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((key) => !IGNORED.has(key));
  return keys.filter((key) => text(before[key]) !== text(now[key]));
}
