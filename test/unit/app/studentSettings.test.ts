// What an experiment asks of memory as the settings of a plan, and a person's settings written back into it.
import { describe, expect, it } from 'vitest';
import { planSettings, withRemedy, withStudent } from '../../../src/app/studentSettings';
import { parseExperiment, type ExperimentInput } from '../../../src/config/experiment';
import { settingOf } from '../../../src/config/settings';
import { resolvePaths, localPaths } from '../../../src/config/paths';
import { preset } from '../../../src/config/presets';
import { isPicked, pickedSource, studentFolder, studentName } from '../../../src/config/studentFolder';

const document = preset('lesson') as ExperimentInput;
const experiment = parseExperiment(document);

describe('the settings of a plan', () => {
  it('are the experiment’s: length of prompt and answer, as many sequences as a pass has room for', () => {
    expect(planSettings(experiment, {}, 'f16')).toMatchObject({
      quantize: 'nf4-double',
      tier: 'f32',
      rank: 16,
      length: 192,
      batch: 21, // the larger pass, 4096 tokens, of self-refine
      dropout: false,
      answers: experiment.evaluation.batchSize,
    });
    expect(planSettings(experiment, { tier: 'auto', length: 64 }, 'f16')).toMatchObject({
      tier: 'f16',
      batch: 64,
      newTokens: Math.min(64, experiment.evaluation.maxNewTokens),
    });
  });

  it('a remedy becomes a person’s setting; a shorter length takes the answer with it', () => {
    const settings = planSettings(experiment, {}, 'f32');
    const remedy = { from: 192, costs: '', aloneBytes: 1, togetherBytes: 1, fits: true };
    expect(withRemedy({ rank: 8 }, { ...remedy, setting: 'batch', to: 4 }, settings)).toEqual({ rank: 8, batch: 4 });
    expect(withRemedy({}, { ...remedy, setting: 'tier', to: 'f16' }, settings)).toEqual({ tier: 'f16' });
    const shorter = withRemedy({}, { ...remedy, setting: 'length', to: 96 }, { ...settings, newTokens: 96 });
    expect(shorter).toEqual({ length: 96, newTokens: 48 });
  });
});

describe('an experiment with another student', () => {
  const source = { kind: 'hub' as const, repo: 'maker/model' };
  it('changes nothing that was not set', () => {
    const settings = planSettings(experiment, {}, 'f32');
    const changed = parseExperiment(withStudent(document, experiment, { source, own: {}, settings }));
    expect(changed).toEqual({ ...experiment, student: { ...experiment.student, source } });
  });
  it('trains in passes and asks in batches as they were planned, in every phase that there is', () => {
    const own = { rank: 4, batch: 2, length: 100, answers: 3, newTokens: 40 };
    const settings = planSettings(experiment, own, 'f32');
    const changed = parseExperiment(withStudent(document, experiment, { source, own, settings }));
    expect(planSettings(changed, {}, 'f32')).toEqual(settings);
    expect(changed.phases.instruct).toMatchObject({ microBatchTokens: 200, epochs: 4 });
    expect(changed.phases.selfRefine).toMatchObject({
      microBatchTokens: 200,
      sampling: { batchSize: 3, maxNewTokens: 40 },
    });
    const without = { ...document, phases: { ...document.phases, selfRefine: false as const } };
    const kept = parseExperiment(withStudent(without, parseExperiment(without), { source, own, settings }));
    expect(kept.phases.selfRefine).toBe(false);
  });
});

describe('a picked student', () => {
  it('has a path that no root of an experiment changes, and is no file that is looked for', () => {
    const picked = { ...experiment, student: { ...experiment.student, source: pickedSource('my/{odd} model') } };
    const resolved = resolvePaths(picked, { base: 'experiments', data: 'data' });
    expect(studentFolder(resolved.student.source)).toBe('picked:my__odd_ model');
    expect(localPaths(resolved)).not.toContain('picked:my__odd_ model');
    expect(isPicked(resolved.student.source)).toBe(true);
    expect(studentName(resolved.student.source)).toBe('my__odd_ model (picked folder)');
    expect(isPicked({ kind: 'directory', path: 'models/picked' })).toBe(false);
  });
});

it('words of a setting are the schema’s', () => {
  expect(settingOf('student.quantize').title).toBe('Quantisation of the base');
  expect(settingOf('adapter.rank').why).toContain('QLoRA');
  expect(() => settingOf('student.colour')).toThrow('student.colour');
});
