// The parts of a session that need no GPU: pausing, the run's state, what is prepared from an experiment.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { changesBesidePlaces, experimentChanges } from '../../../src/config/changes';
import { parseExperiment } from '../../../src/config/experiment';
import type { JsonObject } from '../../../src/formats/jsonText';
import { thinRows } from '../../../src/session/artefacts';
import { compareSystems } from '../../../src/session/comparisons';
import { RunControl } from '../../../src/session/control';
import { PUPIL_VERSION } from '../../../src/session/load';
import { systemOf } from '../../../src/session/evaluation';
import { prepare } from '../../../src/session/prepare';
import { addMetrics, addTiming, differences, type PredictionSet } from '../../../src/session/runState';
import { loadTokenizer } from '../../../src/session/tokenizers';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { state, tinyExperiment, tinyFiles } from './tinyRun';

describe('run state', () => {
  it('a step that is done again after a resume replaces its row', () => {
    const own = state();
    addMetrics(own, { phase: 'instruct', step: 3, totalSteps: 9, values: { loss: 7 } });
    addMetrics(own, { phase: 'instruct', step: 4, totalSteps: 9, values: { loss: 6 } });
    expect(own.metrics.map((row) => row.values['loss'])).toEqual([7, 6]);
  });

  it('timings add up over sittings', () => {
    const own = state();
    addTiming(own, 'instruct', 1, 10, 1);
    addTiming(own, 'instruct', 2, 20, 1);
    expect(own.timings).toEqual([{ phase: 'instruct', seconds: 3, tokens: 30, steps: 2 }]);
  });

  it('another adapter, tier, kernel variant or student is a difference; another browser version is none', () => {
    const now = state();
    now.environment.userAgent = 'other';
    expect(differences(state(), now)).toEqual([]);
    now.environment.tier = 'f16';
    now.environment.variants = { linear: 'subgroup' };
    now.student.fingerprint = 'g';
    now.data = 'e';
    expect(differences(state(), now).map((line) => line.split(' ')[0])).toEqual([
      'tier',
      'variants',
      'student',
      'data',
    ]);
  });

  it('limits, name and notes may change between sittings, everything else may not', () => {
    const before = { name: 'a', seed: 1, limits: { checkpointEverySteps: 5 } } as JsonObject;
    expect(experimentChanges(before, { ...before, name: 'b', limits: {}, notes: 'n' })).toEqual([]);
    expect(experimentChanges(before, { ...before, seed: 2, extra: 1 })).toEqual(['seed', 'extra']);
    const tasks = (file: string, limit: number) => [{ id: 'lesson', files: { test: [file] }, split: { limit } }];
    const placed = { ...before, tasks: tasks('a', 1) } as JsonObject;
    expect(experimentChanges(placed, { ...placed, tasks: tasks('b', 1) })).toEqual(['tasks']);
    expect(changesBesidePlaces(placed, { ...placed, tasks: tasks('b', 1) })).toEqual([]);
    expect(changesBesidePlaces(placed, { ...placed, tasks: tasks('a', 2) })).toEqual(['tasks']);
  });
});

describe('run control', () => {
  const turnstile = (log: string[]) => ({
    beforePause: () => {
      log.push('save');
      return Promise.resolve();
    },
    onPaused: () => void log.push('paused'),
    onResumed: () => void log.push('resumed'),
  });
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

  it('lets a running run pass; holds a paused one until resumed, having saved it', async () => {
    const control = new RunControl();
    const log: string[] = [];
    await control.pass(turnstile(log));
    control.pause();
    let passed = false;
    const passing = control.pass(turnstile(log)).then(() => (passed = true));
    await settle();
    expect(passed).toBe(false);
    expect(log).toEqual(['save', 'paused']);
    control.resume();
    await passing;
    expect(log).toEqual(['save', 'paused', 'resumed']);
  });

  it('a step lets exactly one unit of work through', async () => {
    const control = new RunControl();
    const log: string[] = [];
    let units = 0;
    control.pause();
    const work = (async () => {
      for (; units < 5; units++) await control.pass(turnstile(log));
    })();
    await settle();
    expect(units).toBe(0);
    control.step();
    await settle();
    expect(units).toBe(1);
    control.step();
    await settle();
    expect(units).toBe(2);
    control.resume();
    await work;
    expect(units).toBe(5);
  });

  it('a listener that resumes the moment it hears of the pause is not missed', async () => {
    const control = new RunControl();
    control.pause();
    await control.pass({ ...turnstile([]), onPaused: () => control.resume() });
  });

  it('stop ends a paused run as well', async () => {
    const control = new RunControl();
    control.pause();
    const passing = control.pass(turnstile([]));
    await settle();
    control.stop();
    await expect(passing).rejects.toMatchObject({ code: 'cancelled' });
    expect(control.stopped).toBe(true);
  });
});

describe('prepare', () => {
  const prepared = async (changes: Record<string, unknown> = {}) => {
    const experiment = parseExperiment(tinyExperiment(changes));
    const files = openFileRoot({ kind: 'memory', files: tinyFiles() });
    const tokenizer = await loadTokenizer(experiment.student.tokenizer, files, () => Promise.resolve(undefined));
    return prepare(experiment, files, tokenizer, { vocabSize: 449, maxPositions: 192 });
  };

  it('gives the lesson’s own token ids for prompts, and answers that end with the end of text', async () => {
    const made = await prepared();
    const row = JSON.parse(
      readFileSync('test/fixtures/lesson/task-C-train-in-seed0.jsonl', 'utf8').split('\n')[0]!,
    ) as {
      prompt_ids: number[];
      plain_prompt_ids: number[];
    };
    expect(made.examples).toHaveLength(12);
    expect(made.examples[0]!.prompt).toEqual(row.prompt_ids);
    expect(made.examples[0]!.answer.at(-1)).toBe(made.eosId);
    expect(made.refineItems[0]!.plain.ids).toEqual(row.plain_prompt_ids);
    expect(made.refineItems[0]!.cot.ids).toEqual(row.prompt_ids);
  });

  it('the teacher’s answers are judged by the task’s extractor; probing has one continuation per option', async () => {
    const made = await prepared();
    expect(made.summaries[0]).toMatchObject({
      used: 12,
      teacherN: 12,
      teacherCorrect: 12,
      rejectedLines: 0,
      tooLong: 0,
    });
    expect(made.refineItems[0]!.isCorrect(made.refineItems[0]!.teacher.text)).toBe(true);
    const probe = made.tasks[0]!.probes.wrapped[0]!;
    expect(probe.letters).toEqual(['A', 'B', 'C', 'D']);
    expect(probe.options.letter.map((option) => option.length)).toEqual([1, 1, 1, 1]);
    expect(probe.options.text).toHaveLength(4);
    expect(probe.letters).toContain(probe.target);
  });

  it('what is too long is left out and counted, never cut', async () => {
    const made = await prepared({ prompt: { wrapper: 'none', promptSuffix: '\n', maxAnswerTokens: 40 } });
    const { used, tooLong } = made.summaries[0]!;
    expect(tooLong).toBeGreaterThan(0);
    expect(used + tooLong).toBe(12);
    expect(made.examples.every(({ answer }) => answer.length <= 41)).toBe(true);
  });

  it('a test question too long in one wording is left out of all of them', async () => {
    const made = await prepared({ prompt: { wrapper: 'none', promptSuffix: '\n', maxPromptTokens: 47 } });
    const { questions, summary } = made.tasks[0]!;
    expect(summary.tooLong).toBeGreaterThan(0);
    const sets = [questions.bare.plain, questions.bare.cot, questions.wrapped.plain, questions.wrapped.cot];
    expect(new Set(sets.map((set) => set.map(({ itemId }) => itemId).join())).size).toBe(1);
    expect(summary.testItems + summary.tooLong).toBe(5);
  });

  it('smaller shares are part of larger ones', async () => {
    const share = async (fraction: number): Promise<string[]> => {
      const demonstrations = [
        { label: 's', task: 'C', files: ['train.jsonl'], format: 'lesson', family: 'in-family', fraction },
      ];
      return (await prepared({ demonstrations })).demonstrations.map(({ itemId }) => itemId);
    };
    const [quarter, half] = [await share(0.25), await share(0.5)];
    expect(quarter).toHaveLength(3);
    expect(half.slice(0, 3)).toEqual(quarter);
  });

  it('lines that are no demonstrations are told with the first of them; those of other items are not', async () => {
    const experiment = parseExperiment(tinyExperiment());
    const files = tinyFiles();
    const lines = readFileSync('test/fixtures/lesson/task-C-train-in-seed0.jsonl', 'utf8').split('\n').slice(0, 20);
    lines[2] = '{"half';
    lines[4] = '{"other": 1}';
    files['demonstrations.jsonl'] = new TextEncoder().encode(lines.join('\n'));
    const [source] = experiment.demonstrations;
    const changed = { ...experiment, demonstrations: [{ ...source!, files: ['demonstrations.jsonl'] }] };
    const root = openFileRoot({ kind: 'memory', files });
    const tokenizer = await loadTokenizer(experiment.student.tokenizer, root, () => Promise.resolve(undefined));
    const { warnings, summaries } = await prepare(changed, root, tokenizer, { vocabSize: 449, maxPositions: 192 });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('2 demonstrations');
    expect(warnings[0]).toContain('demonstrations.jsonl:3: not JSON');
    expect(summaries[0]!.rejectedLines).toBe(2 + 8); // eight are of questions that this task does not have
  });

  it('a tokenizer of another student is refused', async () => {
    const experiment = parseExperiment(tinyExperiment());
    const files = openFileRoot({ kind: 'memory', files: tinyFiles() });
    const tokenizer = await loadTokenizer(experiment.student.tokenizer, files, () => Promise.resolve(undefined));
    await expect(prepare(experiment, files, tokenizer, { vocabSize: 100, maxPositions: 192 })).rejects.toMatchObject({
      code: 'text',
    });
  });
});

describe('an adapter evaluated on its own', () => {
  it.each([
    [undefined, 'Baseline'],
    ['/runs/a/adapters/instruct', 'Instruction-tuned'],
    ['/runs/a/adapters/self-refine/', 'Self-refined'],
    ['/home/me/self-refine-study/adapters/instruct', 'Instruction-tuned'],
    ['/runs/a/adapters/control', 'Instruction-tuned, more steps'],
    ['/runs/a/exported', 'Instruction-tuned'],
  ])('in %s is called %s', (folder, system) => {
    expect(systemOf(folder)).toBe(system);
  });
});

describe('comparisons', () => {
  it('McNemar’s table counts the questions on which two systems differ', () => {
    const set = (system: PredictionSet['system'], verdicts: boolean[]): PredictionSet => ({
      system,
      taskId: 'C',
      prompt: 'cot',
      predictions: verdicts.map((correct, i) => ({
        itemId: String(i),
        text: '',
        stopped: 'eos' as const,
        target: '',
        correct: { strict: correct },
      })),
    });
    const rows = compareSystems([
      set('Baseline', [true, false, false, false, false, false, false]),
      set('Instruction-tuned', [false, true, true, true, true, true, false]),
    ]);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ first: 'Baseline', second: 'Instruction-tuned', onlyFirst: 1, onlySecond: 5 });
    expect(rows[0]!.p).toBeCloseTo((2 * 7) / 64, 10); // 2 · (C(6,0) + C(6,1)) / 2^6
  });

  it('long curves are thinned, keeping first, last and every validated step', () => {
    const rows = Array.from({ length: 5000 }, (_, i) => ({
      phase: 'instruct' as const,
      step: i + 1,
      totalSteps: 5000,
      values: i === 777 ? { loss: 1, eval_loss: 1 } : { loss: 1 },
    }));
    const thin = thinRows(rows, 100);
    expect(thin.length).toBeLessThanOrEqual(103);
    expect(thin[0]!.step).toBe(1);
    expect(thin.at(-1)!.step).toBe(5000);
    expect(thin.some(({ step }) => step === 778)).toBe(true);
  });
});

describe('version', () => {
  it('is that of package.json', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(PUPIL_VERSION).toBe(version);
  });
});
