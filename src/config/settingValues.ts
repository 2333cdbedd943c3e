// settingValues.ts: values of an experiment's document by its settings: defaults filled in also where the document is no valid
// experiment yet, the branch that a value belongs to, what a new entry of a list begins with, and one part replaced. It
// refuses nothing: what is wrong with a document is for experiment.ts to say.
import { changed, type ConfigPath } from './seriesPaths';
import { EXPERIMENT_SETTINGS, type Branch, type Setting, type Shape } from './settings';

type Fields = Record<string, unknown>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The branch that a value means, by the literal that it has or the keys that it shares; the first where that says nothing. */
export function branchOf(branches: readonly Branch[], value: unknown): number {
  const fit = ({ shape }: Branch): number => {
    if (shape.kind === 'texts') return Array.isArray(value) ? 1 : -1;
    if (shape.kind !== 'group') return typeof value === 'string' ? 1 : -1;
    if (!isFields(value)) return -1;
    const literal = shape.settings.find((setting) => setting.shape.kind === 'literal');
    if (literal?.shape.kind === 'literal') return value[literal.key] === literal.shape.value ? 1 : -1;
    return shape.settings.filter(({ key }) => key in value).length - 0.5;
  };
  const fits = branches.map(fit);
  const best = fits.indexOf(Math.max(...fits));
  return best === -1 ? 0 : best;
}

function complete(shape: Shape, value: unknown): unknown {
  switch (shape.kind) {
    case 'group':
      return completeFields(shape.settings, value);
    case 'switch':
      return completeFields(shape.on, value);
    case 'list':
      return Array.isArray(value) ? value.map((entry) => completeFields(shape.entry, entry)) : value;
    case 'alternatives':
      return complete(shape.branches[branchOf(shape.branches, value)]!.shape, value);
    default:
      return value;
  }
}

function completeFields(settings: readonly Setting[], value: unknown): unknown {
  if (!isFields(value)) return value;
  const known = settings.flatMap(({ key, presence, standard, shape }): [string, unknown][] => {
    if (Object.hasOwn(value, key) && value[key] !== undefined) return [[key, complete(shape, value[key])]];
    return presence === 'default' ? [[key, complete(shape, structuredClone(standard))]] : [];
  });
  const keys = new Set(settings.map(({ key }) => key));
  // What is unknown stays: it is refused by name, not lost.
  const unknown = Object.entries(value).filter(([key, entry]) => !keys.has(key) && entry !== undefined);
  return Object.fromEntries([...known, ...unknown]);
}

/**
 * The document with every default written out. Of a valid one the same as parseExperiment gives; of any other one the same
 * document, as far as it can be understood.
 */
export const withDefaults = (document: unknown): unknown => completeFields(EXPERIMENT_SETTINGS, document);

/** The default of a setting with those of the settings in it. Undefined where there is none. */
export const standardOf = ({ presence, standard, shape }: Setting): unknown =>
  presence === 'default' ? complete(shape, structuredClone(standard)) : undefined;

/** What a value of this shape begins with, before a person has filled it in; what must be chosen is still empty. */
export function blankOf(shape: Shape): unknown {
  switch (shape.kind) {
    case 'number':
      return shape.min ?? (shape.integer ? 1 : (shape.max ?? 1));
    case 'boolean':
      return false;
    case 'choice':
      return shape.options[0];
    case 'choices':
      return shape.options.slice(0, shape.atLeast);
    case 'text':
      return '';
    case 'texts':
      return Array.from({ length: shape.atLeast }, () => '');
    case 'literal':
      return shape.value;
    case 'list':
      return [];
    case 'switch':
      return blankFields(shape.on);
    case 'group':
      return blankFields(shape.settings);
    case 'alternatives':
      return blankOf(shape.branches[0]!.shape);
  }
}

/** A new entry of a list: what must be given is blank, everything else its default. */
export function blankFields(settings: readonly Setting[]): Fields {
  const required = settings.filter(({ presence }) => presence === 'required');
  return completeFields(
    settings,
    Object.fromEntries(required.map(({ key, shape }) => [key, blankOf(shape)])),
  ) as Fields;
}

/** The part of a document at a path; undefined where there is none. */
export function valueAt(document: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string | number, unknown>)[key]
        : undefined,
    document,
  );
}

/**
 * The document, defaults written out, with one part replaced; undefined takes it away, so that its default holds.
 * @throws Error where the path leads nowhere: a slip of whoever calls.
 */
export function withValue(document: unknown, path: ConfigPath, value: unknown): unknown {
  const next = changed(withDefaults(document), path, value === undefined ? null : value);
  if (!('document' in next)) throw new Error(`withValue: expected ${next.expected}, got ${next.value}`);
  return withDefaults(next.document);
}
