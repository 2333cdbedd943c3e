// settings.ts: the settings of an experiment as a form, a diff or a search needs them: of each its kind, title, why, unit, default,
// range and origin, read from the schema itself. So a setting that is added to the schema is known here without a line of
// code. It declares no setting, checks no value (experiment.ts does) and knows no control.
import * as v from 'valibot';
import type { FieldInfo } from './fields';
import { ExperimentSchema } from './schema';

/** What values a setting takes. */
export type Shape =
  /** Numbers ≥ `min` or > `above`, and ≤ `max`; bounds that no one can reach are left out. */
  | { kind: 'number'; integer: boolean; min?: number; above?: number; max?: number }
  | { kind: 'boolean' }
  /** One of few texts. */
  | { kind: 'choice'; options: readonly string[] }
  /** Several of few texts. */
  | { kind: 'choices'; options: readonly string[]; atLeast: number }
  /** `expected` says what it must look like, where not any text will do. */
  | { kind: 'text'; mayBeEmpty: boolean; expected?: string }
  | { kind: 'texts'; atLeast: number }
  /** The one text that tells the branches of a variant apart. */
  | { kind: 'literal'; value: string }
  | { kind: 'group'; settings: readonly Setting[] }
  | { kind: 'list'; entry: readonly Setting[]; atLeast: number }
  /** `false`, or settings of its own. */
  | { kind: 'switch'; on: readonly Setting[] }
  | { kind: 'alternatives'; branches: readonly Branch[] };

export interface Branch {
  label: string;
  shape: Shape;
}

export interface Setting extends FieldInfo {
  key: string;
  /** From the top, with `[]` for the entries of a list: `tasks[].split.trainCount`. */
  pattern: string;
  title: string;
  /** One or two sentences. */
  why: string;
  /** A value must be given; what is left out has a default; or what is left out stays out. */
  presence: 'required' | 'default' | 'optional';
  /** Where presence is `default`; of a group `{}`, whose settings have defaults of their own. */
  standard?: unknown;
  shape: Shape;
}

/** What this file reads of a valibot schema or action. */
interface Node {
  kind: string;
  type: string;
  pipe?: readonly Node[];
  wrapped?: Node;
  entries?: Readonly<Record<string, Node>>;
  item?: Node;
  options?: readonly unknown[];
  literal?: unknown;
  requirement?: unknown;
  message?: unknown;
  default?: unknown;
}

/** The checks of a schema, those of schemas in its pipe included. */
const actionsOf = (node: Node): Node[] =>
  (node.pipe ?? []).slice(1).concat(node.pipe?.[0]?.pipe === undefined ? [] : actionsOf(node.pipe[0]));

function readNumber(node: Node): Shape {
  const bound = (type: string): number | undefined => {
    const found = actionsOf(node).find((action) => action.type === type)?.requirement;
    return typeof found === 'number' && Math.abs(found) < Number.MAX_SAFE_INTEGER ? found : undefined;
  };
  const [min, above, max] = [bound('min_value'), bound('gt_value'), bound('max_value')];
  return {
    kind: 'number',
    integer: actionsOf(node).some((action) => action.type === 'integer'),
    ...(min === undefined ? {} : { min }),
    ...(above === undefined ? {} : { above }),
    ...(max === undefined ? {} : { max }),
  };
}

function readText(node: Node): Shape {
  const actions = actionsOf(node);
  const message = actions.find((action) => action.type === 'regex')?.message;
  const expected = actions.some((action) => action.type === 'url') ? 'a URL' : message;
  return {
    kind: 'text',
    mayBeEmpty: !actions.some((action) => ['non_empty', 'regex', 'url'].includes(action.type)),
    ...(typeof expected === 'string' ? { expected } : {}),
  };
}

function readArray(node: Node, pattern: string): Shape {
  const least = actionsOf(node).find((action) => action.type === 'min_length')?.requirement;
  const atLeast = typeof least === 'number' ? least : 0;
  const item = node.item!;
  if (item.type === 'picklist') return { kind: 'choices', options: item.options as string[], atLeast };
  if (item.entries !== undefined) return { kind: 'list', entry: readEntries(item, `${pattern}[]`), atLeast };
  return { kind: 'texts', atLeast };
}

/** What a branch is called: its own literal, else the titles of what is in it. */
function branchLabel(shape: Shape): string {
  if (shape.kind === 'texts') return 'several';
  if (shape.kind !== 'group') return 'one';
  const literal = shape.settings.find((setting) => setting.shape.kind === 'literal');
  if (literal?.shape.kind === 'literal') return literal.shape.value;
  const [first, ...more] = shape.settings.map(({ title }) => title);
  return [first ?? '', ...more.map((title) => title.charAt(0).toLowerCase() + title.slice(1))].join(' and ');
}

function readAlternatives(options: readonly Node[], pattern: string): Shape {
  const on = options.find((option) => option.type !== 'literal');
  if (options.length === 2 && on?.entries !== undefined && options.some((option) => option.literal === false)) {
    return { kind: 'switch', on: readEntries(on, pattern) };
  }
  const shapes = options.map((option) => readShape(option, pattern));
  return { kind: 'alternatives', branches: shapes.map((shape) => ({ label: branchLabel(shape), shape })) };
}

function readShape(node: Node, pattern: string): Shape {
  switch (node.type) {
    case 'number':
      return readNumber(node);
    case 'boolean':
      return { kind: 'boolean' };
    case 'picklist':
      return { kind: 'choice', options: node.options as string[] };
    case 'literal':
      return { kind: 'literal', value: String(node.literal) };
    case 'array':
      return readArray(node, pattern);
    case 'union':
    case 'variant':
      return readAlternatives(node.options as Node[], pattern);
    case 'strict_object':
      return { kind: 'group', settings: readEntries(node, pattern) };
    case 'string':
      return readText(node);
    default:
      throw new Error(`settings: expected a kind of schema that a form can show, got ${node.type} at ${pattern}`);
  }
}

/** `maxNewTokens` → `Max new tokens`, for what has no title. */
const titleFromKey = (key: string): string =>
  key.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`).replace(/^./, (letter) => letter.toUpperCase());

function readSetting(key: string, node: Node, prefix: string): Setting {
  const isOptional = node.wrapped !== undefined;
  const inner = node.wrapped ?? node;
  const pattern = prefix === '' ? key : `${prefix}.${key}`;
  const schema = inner as unknown as v.GenericSchema;
  const presence = !isOptional ? 'required' : node.default === undefined ? 'optional' : 'default';
  return {
    ...(v.getMetadata(schema) as FieldInfo),
    key,
    pattern,
    title: v.getTitle(schema) ?? titleFromKey(key),
    why: v.getDescription(schema) ?? '',
    presence,
    ...(presence === 'default' ? { standard: node.default } : {}),
    shape: readShape(inner, pattern),
  };
}

function readEntries(node: Node, pattern: string): Setting[] {
  return Object.entries(node.entries ?? {}).map(([key, entry]) => readSetting(key, entry, pattern));
}

/** The settings of an experiment, in the order of the schema; `$schema` is a note for editors and none. */
export const EXPERIMENT_SETTINGS: readonly Setting[] = readEntries(ExperimentSchema as unknown as Node, '').filter(
  ({ key }) => key !== '$schema',
);

/** The settings directly within a shape; of alternatives those of every branch. */
export function settingsWithin(shape: Shape): readonly Setting[] {
  switch (shape.kind) {
    case 'group':
      return shape.settings;
    case 'list':
      return shape.entry;
    case 'switch':
      return shape.on;
    case 'alternatives':
      return shape.branches.flatMap((branch) => settingsWithin(branch.shape));
    default:
      return [];
  }
}

/** Every setting at any depth, groups and lists before what is in them. */
export function everySetting(settings: readonly Setting[] = EXPERIMENT_SETTINGS): Setting[] {
  return settings.flatMap((setting) => [setting, ...everySetting(settingsWithin(setting.shape))]);
}

/** @param pattern e.g. `student.quantize`. @throws Error where there is no such setting: a slip of whoever calls. */
export function settingOf(pattern: string): Setting {
  const found = everySetting().find((setting) => setting.pattern === pattern);
  if (found === undefined) throw new Error(`settingOf: expected a setting of an experiment, got ${pattern}`);
  return found;
}

/** A range in signs: `1 – 256`, `> 0, ≤ 1`, `≥ 1`. Empty where any value will do. */
export function rangeText(shape: Shape): string {
  if (shape.kind === 'choices' || shape.kind === 'texts' || shape.kind === 'list') {
    return shape.atLeast === 0 ? '' : `at least ${shape.atLeast}`;
  }
  if (shape.kind === 'text') return shape.expected ?? (shape.mayBeEmpty ? '' : 'not empty');
  if (shape.kind !== 'number') return '';
  const { min, above, max } = shape;
  if (min !== undefined && max !== undefined) return `${min} – ${max}`;
  const parts = [
    ...(min === undefined ? [] : [`≥ ${min}`]),
    ...(above === undefined ? [] : [`> ${above}`]),
    ...(max === undefined ? [] : [`≤ ${max}`]),
  ];
  return parts.join(', ');
}
