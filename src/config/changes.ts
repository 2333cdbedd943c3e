// changes.ts: whether two experiments are the same one: what a resumed run must share with its beginning, and what a finished
// run must share with the one that is asked for. It compares complete experiments, defaults filled in.

/** Parts that change no number: names, remarks, and how often is saved. */
const IGNORED: ReadonlySet<string> = new Set(['limits', 'name', 'notes', '$schema']);

/** Top-level parts that differ; limits, name and notes may. */
export function experimentChanges(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((key) => !IGNORED.has(key));
  return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
}
