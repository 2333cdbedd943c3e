// fieldTexts.test.ts: what stands in the controls of the form is the experiment, and what is typed becomes the value that is meant.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectedText, shortText, textOf, valueOf } from '../../../src/app/lab/fieldTexts';
import { placeOf, SECTIONS, SETTINGS_OF, sectionOf } from '../../../src/app/lab/sections';
import {
  everySetting,
  EXPERIMENT_SETTINGS,
  settingOf,
  settingsWithin,
  type Setting,
} from '../../../src/config/settings';
import { valueAt, withValue } from '../../../src/config/settingValues';
import { changedPreset, placesOf } from '../../support/randomExperiment';

describe('texts of controls', () => {
  it('give back every value of every valid experiment: form and experiment are the same', () => {
    fc.assert(
      fc.property(fc.gen(), (g) => {
        const { document } = changedPreset(g, 20);
        let again = document;
        for (const { setting, path } of placesOf(document)) {
          const value = valueAt(document, path);
          if ((setting.shape.kind !== 'number' && setting.shape.kind !== 'text') || value === undefined) continue;
          const typed = valueOf(setting, textOf(setting, value));
          // A text that is empty and may be left out is left out.
          if (!(value === '' && setting.presence === 'optional')) expect(typed, setting.pattern).toEqual(value);
          again = withValue(again, path, typed);
        }
        expect(again).toEqual(document);
      }),
      { numRuns: 6 },
    );
  });

  it.each([
    ['adapter.alpha', '2e1', 20],
    ['adapter.alpha', ' 0,5 ', 0.5],
    ['adapter.alpha', '1e', '1e'],
    ['adapter.alpha', 'Infinity', 'Infinity'],
    ['adapter.alpha', '0x10', '0x10'],
    ['adapter.alpha', '', undefined],
    ['limits.maxGpuBytes', '1.5 GiB', 1.5 * 2 ** 30],
    ['limits.maxGpuBytes', '800 mb', 800 * 2 ** 20],
    ['adapter.rank', '8 GiB', '8 GiB'],
    ['prompt.promptSuffix', '\\n', '\n'],
    ['prompt.promptSuffix', 'C:\\\\n', 'C:\\n'],
    ['name', 'C:\\n', 'C:\\n'],
    ['notes', '', undefined],
    ['name', '', ''],
  ])('%s: %j means %j', (pattern, typed, meant) => {
    expect(valueOf(settingOf(pattern), typed)).toEqual(meant);
  });

  it('in tables say what a value is', () => {
    expect([undefined, true, false, '', 'a\nb', [], ['a'], { a: 1 }].map((one) => shortText(one))).toEqual([
      'not set',
      'on',
      'off',
      'empty',
      'a\\nb',
      'none',
      'a',
      '{"a":1}',
    ]);
    expect(shortText(2 ** 30, 'bytes')).toBe('1.0 GiB');
    expect(shortText(2e-4)).toBe('2e-4');
    expect(['>=1', '<=256', '>0', 'number', 'a URL'].map(expectedText)).toEqual([
      'at least 1',
      'at most 256',
      'more than 0',
      'a number',
      'a URL',
    ]);
  });
});

describe('sections', () => {
  it('have every setting of the schema, once', () => {
    const within = (setting: Setting): string[] => [setting.pattern, ...settingsWithin(setting.shape).flatMap(within)];
    const shown = SECTIONS.flatMap(({ name }) => SETTINGS_OF.get(name)!.flatMap(within));
    const all = everySetting().map(({ pattern }) => pattern);
    expect([...shown, 'phases'].sort()).toEqual([...all].sort());
  });

  it('are found by a path, and know where their settings are', () => {
    for (const { name } of SECTIONS) {
      for (const setting of SETTINGS_OF.get(name)!) {
        expect(sectionOf(setting.pattern)).toBe(name);
        expect([...placeOf(setting), setting.key].join('.')).toBe(setting.pattern);
      }
    }
    expect(sectionOf('phases.selfRefine.sampling.topK')).toBe('selfRefine');
    expect(sectionOf('tasks[].split.seed')).toBe('tasks');
    expect(sectionOf('anything.new')).toBe('limits');
    expect(EXPERIMENT_SETTINGS.length).toBeGreaterThan(8);
  });
});
