// The parts of a session that need no GPU: pausing, the run's state as bytes, what is prepared from an experiment, merging.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import { memorySource } from '../../../src/formats/byteSource';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import type { JsonObject } from '../../../src/formats/jsonText';
import { compareSystems, thinRows } from '../../../src/session/artefacts';
import { RunControl } from '../../../src/session/control';
import { exportStudent, mergeLora } from '../../../src/session/exportStudent';
import { PUPIL_VERSION } from '../../../src/session/load';
import { systemOf } from '../../../src/session/evaluation';
import { prepare } from '../../../src/session/prepare';
import {
  addMetrics,
  addTiming,
  decodeRunState,
  differences,
  encodeRunState,
  experimentChanges,
  type PredictionSet,
  type RunState,
} from '../../../src/session/runState';
import { loadTokenizer } from '../../../src/session/tokenizers';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { writePeftAdapter } from '../../../src/formats/peft';
import { tinyExperiment, tinyFiles } from './tinyRun';

function state(): RunState {
  return {
    startedAt: '2026-01-01T00:00:00.000Z',
    experiment: { seed: 1 },
    environment: {
      vendor: 'v',
      architecture: 'a',
      device: 'd',
      description: 'x',
      software: true,
      tier: 'f32',
      variants: { linear: 'register' },
      host: 'node',
      userAgent: 'u',
      pupilVersion: PUPIL_VERSION,
    },
    student: {
      source: 's',
      parameters: 1,
      layers: 1,
      hiddenSize: 1,
      vocabSize: 1,
      quantize: 'none',
      fingerprint: 'f',
    },
    phase: 'instruct',
    step: 3,
    sequence: 2,
    metrics: [{ phase: 'instruct', step: 3, totalSteps: 9, values: { loss: 1.5 } }],
    evaluations: [],
    predictions: [],
    pending: { job: 'y', answers: [{ ids: [1, 2], stopped: 'eos' }] },
    timings: [],
    checkpointBytes: 0,
    adapterFileBytes: 0,
    gpuPeak: 0,
    log: [],
    tensors: { adapter: Float32Array.of(1, -0, 3e-40), m: new Float32Array(0) },
  };
}

describe('run state', () => {
  it('survives its bytes bit for bit, and equal states give equal bytes', async () => {
    const bytes = await encodeRunState(state());
    expect(await encodeRunState(state())).toEqual(bytes);
    const back = await decodeRunState(bytes, 'r');
    expect(back).toEqual(state());
    expect(Object.is(back.tensors.adapter![1], -0)).toBe(true);
    expect(await encodeRunState(back)).toEqual(bytes);
  });

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
    expect(differences(state(), now).map((line) => line.split(' ')[0])).toEqual(['tier', 'variants', 'student']);
  });

  it('limits, name and notes may change between sittings, everything else may not', () => {
    const before = { name: 'a', seed: 1, limits: { checkpointEverySteps: 5 } } as JsonObject;
    expect(experimentChanges(before, { ...before, name: 'b', limits: {}, notes: 'n' })).toEqual([]);
    expect(experimentChanges(before, { ...before, seed: 2, extra: 1 })).toEqual(['seed', 'extra']);
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
    expect(probe.options.map((option) => option.length)).toEqual([1, 1, 1, 1]);
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

describe('export', () => {
  it('merging adds scale · B·A, with α/√R for rsLoRA and a module’s own α', () => {
    const module = {
      a: { shape: [2, 3] as const, data: Float32Array.of(1, 2, 3, 4, 5, 6) },
      b: { shape: [2, 2] as const, data: Float32Array.of(1, 0, 0.5, -1) },
    };
    const merge = (o: { alpha: number; rsLora: boolean }, own: object = {}): number[] => [
      ...mergeLora(new Float32Array(6), [2, 3], { ...module, ...own }, o, 'w'),
    ];
    expect(merge({ alpha: 4, rsLora: false })).toEqual([2, 4, 6, -7, -8, -9]); // scale 2
    expect(merge({ alpha: 2, rsLora: false }, { alpha: 4 })).toEqual([2, 4, 6, -7, -8, -9]);
    expect(merge({ alpha: Math.SQRT2, rsLora: true })).toEqual([1, 2, 3, -3.5, -4, -4.5]);
    expect(() => mergeLora(new Float32Array(4), [2, 2], module, { alpha: 1, rsLora: false }, 'w')).toThrow(/lora_A/);
  });

  it('writes a checkpoint that opens again, in shards where it is large, with the adapter merged in', async () => {
    const files = tinyFiles();
    const path = 'model.layers.1.mlp.up_proj';
    const adapter = {
      r: 2,
      alpha: 2,
      dropout: 0,
      rsLora: false,
      targetModules: ['up_proj'],
      baseModel: 'tiny',
      tensors: new Map([
        [
          path,
          {
            a: { shape: [2, 32] as const, data: new Float32Array(64).fill(0.5) },
            b: { shape: [48, 2] as const, data: new Float32Array(96).fill(0.25) },
          },
        ],
      ]),
    };
    for (const [name, bytes] of Object.entries(writePeftAdapter(adapter))) files[`adapter/${name}`] = bytes;
    const out: Record<string, Uint8Array> = {};
    const written = await exportStudent({
      files: openFileRoot({ kind: 'memory', files }),
      out: openFileRoot({ kind: 'memory', files: out }),
      student: 'student',
      adapter: 'adapter',
      format: 'merged',
      shardBytes: 20_000,
    });
    expect(written).toContain('model.safetensors.index.json');
    const open = (of: Record<string, Uint8Array>, prefix: string) =>
      openCheckpoint((name) => {
        const bytes = of[prefix + name];
        return Promise.resolve(bytes === undefined ? undefined : memorySource(name, bytes));
      });
    const before = await open(files, 'student/');
    const after = await open(out, '');
    expect([...after.tensorNames].sort()).toEqual([...before.tensorNames].sort());
    for (const name of before.tensorNames) {
      const expected = await before.readF32(name);
      // 2 ranks of 0.25 · 0.5, scale 1
      const sum = name === `${path}.weight` ? expected.map((value) => value + 0.25) : expected;
      expect(await after.readF32(name), name).toEqual(sum);
    }
    expect(after.config['torch_dtype']).toBe('float32');
  });
});

describe('version', () => {
  it('is that of package.json', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(PUPIL_VERSION).toBe(version);
  });
});
