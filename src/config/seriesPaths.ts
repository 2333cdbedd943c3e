// seriesPaths.ts: paths into an experiment as texts (`tasks[0].split.trainCount`), and a document with one of its parts
// changed. It knows no setting: whether the changed document is a valid experiment is for the schema to say.
import { pathText, shortJson } from './problems';

export type ConfigPath = readonly (string | number)[];

/** The keys of a path such as `a.b[0].c`, or undefined where the text is none. The inverse of {@link formatPath}. */
export function parsePath(text: string): ConfigPath | undefined {
  if (!/^[A-Za-z_]\w*(\[\d+\])*(\.[A-Za-z_]\w*(\[\d+\])*)*$/.test(text)) return undefined;
  return [...text.matchAll(/(\w+)|\[(\d+)\]/g)].map(([, key, index]) => (index === undefined ? key! : Number(index)));
}

export const formatPath = (path: ConfigPath): string => pathText(path);

/** A document with one part changed, or why that part cannot be reached. */
export type Changed = { document: unknown } | { expected: string; value: string };

/**
 * `document` with the part at `path` replaced by `value`, or taken away where it is null; the original stays as it is.
 * All but the last key must lead to what is there.
 */
export function changed(document: unknown, path: ConfigPath, value: unknown, at = 0): Changed {
  const key = path[at]!;
  const here = at === 0 ? 'the experiment' : pathText(path.slice(0, at));
  const wanted = typeof key === 'number' ? `${here} to have an entry ${key}` : `${here} to be an object`;
  const isFit =
    typeof key === 'number'
      ? Array.isArray(document) && key < document.length
      : typeof document === 'object' && document !== null && !Array.isArray(document);
  if (!isFit) return { expected: wanted, value: shortJson(document) };
  const before = document as Record<string | number, unknown>;
  let inner = value;
  if (at < path.length - 1) {
    const next = changed(before[key], path, value, at + 1);
    if (!('document' in next)) return next;
    inner = next.document;
  }
  if (Array.isArray(document)) {
    const list = document.slice() as unknown[];
    if (at === path.length - 1 && value === null) list.splice(key as number, 1);
    else list[key as number] = inner;
    return { document: list };
  }
  const copy: Record<string | number, unknown> = { ...before, [key]: inner };
  if (at === path.length - 1 && value === null) delete copy[key];
  return { document: copy };
}
