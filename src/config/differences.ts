// differences.ts: in what two experiments differ, setting by setting, and the way from one to the other: a table of paths
// with both values, each of which can be taken back, and the same as data that is small enough for an address. It compares
// documents as they are; whether they are valid is for experiment.ts to say.
import type { ConfigProblem } from './problems';
import { changed, formatPath, parsePath, type ConfigPath } from './seriesPaths';
import { isFields, withDefaults } from './settingValues';

export interface Difference {
  path: ConfigPath;
  /** Undefined: not there. */
  before: unknown;
  now: unknown;
}

/** Changes as data: from a path as text to the new value, null where the key is taken away. As the `set` of a series. */
export type ChangeSet = Record<string, unknown>;

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Two values of which only parts differ, so that it is worth saying which. Different kinds of things are replaced whole. */
function haveParts(before: unknown, now: unknown): boolean {
  if (Array.isArray(before) && Array.isArray(now)) {
    return before.length === now.length && [...before, ...now].every(isFields);
  }
  if (!isFields(before) || !isFields(now) || before['kind'] !== now['kind']) return false;
  const shared = Object.keys(before).some((key) => key in now);
  return shared || Object.keys(before).length === 0 || Object.keys(now).length === 0;
}

function compare(before: unknown, now: unknown, path: ConfigPath): Difference[] {
  if (sameJson(before, now)) return [];
  if (!haveParts(before, now)) return [{ path, before, now }];
  const [a, b] = [before, now] as [Record<string, unknown>, Record<string, unknown>];
  const keys = Array.isArray(before) ? [...before.keys()] : [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.flatMap((key) => compare(a[key], b[key], [...path, key]));
}

/** Every setting in which two documents differ, defaults counted as if they were written out; `$schema` is none. */
export function differencesOf(before: unknown, now: unknown): Difference[] {
  return compare(withDefaults(before), withDefaults(now), []).filter(({ path }) => path[0] !== '$schema');
}

/** @throws Error for documents that differ as a whole: those of experiments do not. */
export function asChanges(differences: readonly Difference[]): ChangeSet {
  return Object.fromEntries(differences.map(({ path, now }) => [formatPath(path), now ?? null]));
}

/** A document with changes made to it, or why they cannot be made. */
export function withChanges(
  document: unknown,
  changes: Readonly<ChangeSet>,
): { document: unknown } | { problem: ConfigProblem } {
  let result = withDefaults(document);
  for (const [text, value] of Object.entries(changes)) {
    const path = parsePath(text);
    if (path === undefined) {
      return {
        problem: {
          path: text.slice(0, 80),
          expected: 'a path such as phases.selfRefine.beta',
          value: 'something else',
        },
      };
    }
    const next = changed(result, path, value);
    if (!('document' in next)) return { problem: { path: text, expected: next.expected, value: next.value } };
    result = next.document;
  }
  return { document: withDefaults(result) };
}

/** The document with one difference taken back. Undefined where something else has changed so that it cannot be. */
export function withoutDifference(document: unknown, { path, before }: Difference): unknown {
  const next = changed(withDefaults(document), path, before === undefined ? null : before);
  return 'document' in next ? withDefaults(next.document) : undefined;
}
