// randomExperiment.ts: valid experiments far from any preset, for properties: a preset in which settings of every kind are changed to
// whatever the reader of the schema says is accepted. Tests only.
import * as fc from 'fast-check';
import { checkExperiment } from '../../src/config/experiment';
import { preset, PRESET_NAMES } from '../../src/config/presets';
import type { ConfigPath } from '../../src/config/seriesPaths';
import { EXPERIMENT_SETTINGS, type Setting, type Shape } from '../../src/config/settings';
import { blankOf, branchOf, isFields, valueAt, withDefaults, withValue } from '../../src/config/settingValues';

export interface Place {
  setting: Setting;
  path: ConfigPath;
}

/** Every setting that a document has a place for, groups and lists included. */
export function placesOf(
  document: unknown,
  settings: readonly Setting[] = EXPERIMENT_SETTINGS,
  within: ConfigPath = [],
): Place[] {
  const inside = (shape: Shape, path: ConfigPath): Place[] => {
    const value = valueAt(document, path);
    switch (shape.kind) {
      case 'group':
        return isFields(value) ? placesOf(document, shape.settings, path) : [];
      case 'switch':
        return isFields(value) ? placesOf(document, shape.on, path) : [];
      case 'list':
        return Array.isArray(value) ? value.flatMap((_, i) => placesOf(document, shape.entry, [...path, i])) : [];
      case 'alternatives':
        return value === undefined ? [] : inside(shape.branches[branchOf(shape.branches, value)]!.shape, path);
      default:
        return [];
    }
  };
  return settings.flatMap((setting) => {
    const path = [...within, setting.key];
    return [{ setting, path }, ...inside(setting.shape, path)];
  });
}

/** Values that the schema accepts for this shape, of single fields; undefined where only a person could say. */
export function accepted(shape: Shape, now: unknown): fc.Arbitrary<unknown> | undefined {
  const text = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('\n', 'a\\nb', 'ŷ 中 🙂', '\\', 'kept:x.json'));
  switch (shape.kind) {
    case 'number': {
      const least = shape.min ?? shape.above ?? 0;
      const most = shape.max ?? 1e6;
      if (shape.integer) return fc.integer({ min: Math.ceil(least), max: most });
      return fc.double({ min: least, max: most, minExcluded: shape.above !== undefined, noNaN: true });
    }
    case 'boolean':
      return fc.boolean();
    case 'choice':
      return fc.constantFrom(...shape.options);
    case 'choices':
      return fc.subarray([...shape.options], { minLength: shape.atLeast });
    case 'text':
      return shape.expected === undefined ? text : undefined;
    case 'texts':
      return fc.array(text, { minLength: shape.atLeast, maxLength: 4 });
    case 'switch':
      return fc.constantFrom(false, isFields(now) ? now : blankOf(shape));
    default:
      return undefined;
  }
}

/** A preset with some of its settings changed, valid as a whole; and the preset. */
export function changedPreset(g: fc.GeneratorValue, most = 12): { base: unknown; document: unknown } {
  const base: unknown = withDefaults(preset(g(fc.constantFrom, ...PRESET_NAMES)));
  let document = base;
  const count = g(fc.integer, { min: 0, max: most });
  for (let i = 0; i < count; i++) {
    const { setting, path } = g(fc.constantFrom, ...placesOf(document));
    const values = accepted(setting.shape, valueAt(document, path));
    if (values === undefined) continue;
    const value = g(() => (setting.presence === 'required' ? values : fc.option(values, { nil: undefined, freq: 8 })));
    const next = withValue(document, path, value);
    if (checkExperiment(next).experiment !== undefined) document = next;
  }
  return { base, document };
}
