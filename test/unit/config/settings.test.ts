// settings.test.ts: what the reader of the schema says of every setting is what parsing does: the same settings as the JSON Schema
// has, and every default, range and choice accepted or refused as it says.
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { checkExperiment, experimentJsonSchema } from '../../../src/config/experiment';
import { listProblems } from '../../../src/config/problems';
import { preset } from '../../../src/config/presets';
import { ExperimentSchema } from '../../../src/config/schema';
import { parsePath, type ConfigPath } from '../../../src/config/seriesPaths';
import { everySetting, rangeText, settingOf, settingsWithin, type Setting } from '../../../src/config/settings';
import { blankOf, standardOf, valueAt, withDefaults, withValue } from '../../../src/config/settingValues';

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  description?: string;
}

/** Every path of the JSON Schema, which another library writes. */
function pathsOf(schema: JsonSchema, prefix = ''): string[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    return [path, ...pathsOf(inner, path)];
  });
  const items = schema.items === undefined ? [] : pathsOf(schema.items, `${prefix}[]`);
  return [
    ...own,
    ...items,
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((one) => pathsOf(one, prefix)),
  ];
}

const on = { kind: 'switch' } as const;

/** A valid experiment in which the setting is there: everything switched on, of alternatives the branch that has it. */
function documentWith(setting: Setting): { document: unknown; path: ConfigPath } {
  const path = parsePath(setting.pattern.replaceAll('[]', '[0]'))!;
  let document: unknown = withDefaults(preset('paper'));
  for (let length = 1; length < path.length; length++) {
    const here = path.slice(0, length);
    const pattern = here.map((key, i) => (typeof key === 'number' ? '[]' : `${i === 0 ? '' : '.'}${key}`)).join('');
    if (pattern.endsWith('[]')) {
      if (valueAt(document, here) === undefined) {
        document = withValue(document, here.slice(0, -1), [{ id: 'T/1', answer: 'x' }]);
      }
      continue;
    }
    const { shape } = settingOf(pattern);
    const value = valueAt(document, here);
    if (shape.kind === on.kind && (value === false || value === undefined)) {
      document = withValue(document, here, blankOf(shape));
    } else if (shape.kind === 'alternatives') {
      const branch = shape.branches.find((one) =>
        settingsWithin(one.shape).some(({ pattern: own }) => own === setting.pattern),
      )!;
      document = withValue(document, here, blankOf(branch.shape));
    } else if (value === undefined) {
      document = withValue(document, here, blankOf(shape));
    }
  }
  return { document, path };
}

/** Whether the schema refuses this value; rules between fields are not in question here. */
function refused(setting: Setting, value: unknown): boolean {
  const { document, path } = documentWith(setting);
  const result = v.safeParse(ExperimentSchema, withValue(document, path, value));
  const text = setting.pattern.replaceAll('[]', '[0]');
  return !result.success && listProblems(result.issues).some((problem) => problem.path === text);
}

const settings = everySetting();
const named = (kind: Setting['shape']['kind']): [string, Setting][] =>
  settings.filter(({ shape }) => shape.kind === kind).map((setting) => [setting.pattern, setting]);

describe('the settings of an experiment', () => {
  it('are those of the JSON Schema, all of them', () => {
    const patterns = new Set(settings.map(({ pattern }) => pattern));
    const expected = new Set(pathsOf(experimentJsonSchema() as JsonSchema));
    expected.delete('$schema');
    expect([...expected].filter((path) => !patterns.has(path))).toEqual([]);
    expect([...patterns].filter((path) => !expected.has(path))).toEqual([]);
    expect(patterns.size).toBeGreaterThan(110);
  });

  it('have words: a title each, and a why for all whose title does not say it already', () => {
    for (const { pattern, title, why, shape } of settings) {
      expect(title, pattern).not.toBe('');
      if (
        shape.kind !== 'literal' &&
        ![
          'phases',
          '$schema',
          'student.source.name',
          'student.source.url',
          'student.source.repo',
          'student.source.revision',
          'student.source.endpoint',
        ].includes(pattern)
      ) {
        expect(why, pattern).not.toBe('');
      }
    }
  });

  it('say where the paper says it, wherever the paper does', () => {
    for (const { pattern, origin, section } of settings) {
      expect(origin === 'paper', pattern).toBe(section !== undefined);
    }
    expect(settingOf('phases.instruct.learningRate')).toMatchObject({ origin: 'paper', section: '§3.2.1' });
    expect(settingOf('phases.selfRefine.sampling.temperature').origin).toBe('ours'); // the paper is silent
  });

  it.each(named('number'))('%s: its range is what is accepted', (_, setting) => {
    if (setting.shape.kind !== 'number') throw new Error('unreachable');
    const { integer, min, above, max } = setting.shape;
    const least = min ?? above!;
    const most = max ?? 1e6;
    expect(refused(setting, min ?? (integer ? above! + 1 : above! + (most - above!) / 1e3))).toBe(false);
    expect(refused(setting, most)).toBe(false);
    expect(refused(setting, min === undefined ? above : min - (integer ? 1 : 1e-6))).toBe(true);
    if (max !== undefined) expect(refused(setting, max + (integer ? 1 : 1e-3))).toBe(true);
    expect(refused(setting, integer ? least + 0.5 : 'many')).toBe(true);
    expect(rangeText(setting.shape)).not.toBe('');
  });

  it.each([...named('choice'), ...named('choices')])('%s: its options are all that is accepted', (_, setting) => {
    const { shape } = setting;
    if (shape.kind !== 'choice' && shape.kind !== 'choices') throw new Error('unreachable');
    for (const option of shape.options) {
      expect(refused(setting, shape.kind === 'choice' ? option : [option]), option).toBe(false);
    }
    expect(refused(setting, 'no such option')).toBe(true);
    if (shape.kind === 'choices') expect(refused(setting, [])).toBe(shape.atLeast > 0);
  });

  it.each(named('text'))('%s: is empty only where it may be', (_, setting) => {
    if (setting.shape.kind !== 'text') throw new Error('unreachable');
    expect(refused(setting, '')).toBe(!setting.shape.mayBeEmpty);
  });

  it.each(
    settings.filter(({ presence }) => presence !== 'required').map((setting) => [setting.pattern, setting] as const),
  )('%s: left out, it has the default that is shown, or stays out', (_, setting) => {
    const { document, path } = documentWith(setting);
    const parsed = withDefaults(withValue(document, path, undefined));
    expect(valueAt(parsed, path)).toEqual(standardOf(setting));
    expect(refused(setting, undefined)).toBe(false);
    const { experiment } = checkExperiment(withValue(document, path, undefined));
    if (experiment !== undefined) expect(valueAt(experiment, path)).toEqual(standardOf(setting));
  });

  it('that must be given are missed where they are not', () => {
    for (const setting of settings.filter(
      ({ presence, pattern, shape }) =>
        presence === 'required' &&
        pattern !== 'phases' &&
        shape.kind !== 'literal' &&
        !pattern.startsWith('student.source.'),
    )) {
      expect(refused(setting, undefined), setting.pattern).toBe(true);
    }
  });
});
