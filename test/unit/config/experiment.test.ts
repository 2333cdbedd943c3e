// experiment.test.ts: experiment files are read completely or refused with path, expectation and value.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import { experimentJsonSchema, parseExperiment } from '../../../src/config/experiment';
import type { ExperimentInput } from '../../../src/config/experiment';
import { resolvePath, resolvePaths } from '../../../src/config/paths';
import { preset, PRESET_NAMES } from '../../../src/config/presets';

const folder = new URL('../../../experiments/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const text = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- documents that are wrong on purpose
type Loose = any;

function example(): Loose {
  const input: ExperimentInput = {
    name: 'x',
    student: { source: { kind: 'directory', path: 'student' } },
    tasks: [{ id: 'multiarith', name: 'M', files: { all: ['m.json'] }, split: { trainCount: 420 } }],
    demonstrations: [{ label: 'T', task: 'M', files: ['d.json'], format: 'llm-adapters' }],
    phases: { instruct: {}, selfRefine: { maxSteps: 10 } },
  };
  return structuredClone(input);
}

/** The message of the refusal after `change` was made to a good experiment. */
function refusal(change: (e: Loose) => unknown): string {
  const document = example();
  change(document);
  try {
    parseExperiment(document);
  } catch (error) {
    expect(error).toBeInstanceOf(PupilError);
    expect((error as PupilError).code).toBe('config');
    return (error as PupilError).message;
  }
  throw new Error('expected a refusal');
}

describe('parseExperiment', () => {
  it('fills in the paper’s numbers where the file says nothing', () => {
    const e = parseExperiment(example());
    expect(e.phases.instruct).toMatchObject({ epochs: 4, learningRate: 2e-5, weightDecay: 1e-4, schedule: 'cosine' });
    expect(e.phases.selfRefine).toMatchObject({
      beta: 0.1,
      loss: 'sigmoid',
      learningRate: 1e-6,
      batchSize: 128,
      keepBest: 'lowest-validation-loss',
      minValidationPairs: 8,
      validationFraction: 0.05,
      wrongTeacher: 'keep',
      sampling: { temperature: 0.1, samplesPerPrompt: 1 },
    });
    expect(e.adapter).toEqual({
      rank: 64,
      alpha: 16,
      dropout: 0.1,
      targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
      rsLora: false,
    });
    expect(e.evaluation).toMatchObject({ temperature: 0.1, scorer: 'strict', prompts: ['plain', 'cot'] });
    expect(e.student.quantize).toBe('nf4-double');
  });

  it('is stable: a parsed experiment parses to itself', () => {
    const once = parseExperiment(example());
    expect(parseExperiment(JSON.stringify(once))).toEqual(once);
  });

  it.each([
    [
      'an unknown key',
      (e: Loose): unknown => (e.phases.instruct.lr = 1),
      /phases\.instruct\.lr: expected no such key.*got 1$/m,
    ],
    [
      'an unknown key at the top',
      (e: Loose): unknown => (e.tiers = ['f32']),
      /^ {2}tiers: expected no such key.*got \["f32"\]$/m,
    ],
    ['a missing key', (e: Loose): unknown => delete e.name, /^ {2}name: expected a value/m],
    ['a wrong type', (e: Loose): unknown => (e.seed = 'one'), /^ {2}seed: expected number, got "one"$/m],
    [
      'a fraction where an integer belongs',
      (e: Loose): unknown => (e.adapter = { rank: 1.5 }),
      /adapter\.rank: expected an integer, got 1\.5/,
    ],
    [
      'a number out of range',
      (e: Loose): unknown => (e.phases.instruct.epochs = 0),
      /phases\.instruct\.epochs: expected >0, got 0/,
    ],
    [
      'a word that is no option',
      (e: Loose): unknown => (e.phases.selfRefine.loss = 'dpo'),
      /phases\.selfRefine\.loss: expected .*"ipo".* got "dpo"/,
    ],
    [
      'an unknown task',
      (e: Loose): unknown => (e.tasks[0].id = 'gsm9k'),
      /tasks\[0\]\.id: expected .*"multiarith".* got "gsm9k"/,
    ],
    [
      'an unknown layer',
      (e: Loose): unknown => (e.adapter = { targets: ['q_proj', 'lm_head'] }),
      /adapter\.targets\[1\]: .* got "lm_head"/,
    ],
    [
      'a control of no instruction-tuning',
      (e: Loose): unknown => Object.assign(e.phases, { instruct: false, control: { steps: 3 } }),
      /phases\.control: expected false, since it goes on with instruction-tuning .*got \{"steps":3\}/,
    ],
    [
      'a control without a number of steps',
      (e: Loose): unknown => (e.phases.control = {}),
      /phases\.control\.steps: expected a value/,
    ],
    ['a phase that is true', (e: Loose): unknown => (e.phases.instruct = true), /phases\.instruct: .*got true/],
    [
      'files of no known form',
      (e: Loose): unknown => (e.tasks[0].files = { all: ['a'], dev: ['b'] }),
      /tasks\[0\]\.files\.dev: expected no such key/,
    ],
    [
      'a missing test file',
      (e: Loose): unknown => (e.tasks[0].files = { train: ['a'] }),
      /tasks\[0\]\.files\.test: expected a value/,
    ],
    [
      'no files',
      (e: Loose): unknown => (e.tasks[0].files = { all: [] }),
      /tasks\[0\]\.files\.all: expected at least one entry, got \[\]/,
    ],
    [
      'a model of the Hub without its owner',
      (e: Loose): unknown => (e.student.source = { kind: 'hub', repo: 'gpt2' }),
      /student\.source\.repo: expected .*got "gpt2"/,
    ],
    [
      'a token in an experiment',
      (e: Loose): unknown => (e.student.source = { kind: 'hub', repo: 'a/b', token: 'x' }),
      /student\.source.*token/,
    ],
    [
      'an unknown kind of source',
      (e: Loose): unknown => (e.student.source.kind = 'floppy'),
      /student\.source\.kind: .*got "floppy"/,
    ],
    [
      'demonstrations of no task',
      (e: Loose): unknown => (e.demonstrations[0].task = 'X'),
      /demonstrations\[0\]\.task: expected the name of a task \(M\), got "X"/,
    ],
    [
      'two warm-ups',
      (e: Loose): unknown => Object.assign(e.phases.instruct, { warmupRatio: 0.1, warmupSteps: 5 }),
      /warmupRatio or warmupSteps, not both/,
    ],
    [
      'no end of refinement',
      (e: Loose): unknown => (e.phases.selfRefine = {}),
      /phases\.selfRefine: expected maxSteps or epochs/,
    ],
    [
      'robust without smoothing',
      (e: Loose): unknown => (e.phases.selfRefine.loss = 'robust'),
      /labelSmoothing: expected more than 0/,
    ],
    [
      'smoothing where the loss has none',
      (e: Loose): unknown => Object.assign(e.phases.selfRefine, { loss: 'ipo', labelSmoothing: 0.1 }),
      /labelSmoothing: expected 0, since the loss ipo/,
    ],
    [
      'rationales aligned with nothing',
      (e: Loose): unknown => (e.demonstrations[0].format = 'cot-aligned'),
      /alignedWith: expected the files/,
    ],
    [
      'a pool without a split',
      (e: Loose): unknown => (e.tasks[0].split = {}),
      /tasks\[0\]\.split: expected trainCount or trainFraction/,
    ],
    [
      'a trained task without training files',
      (e: Loose): unknown => (e.tasks[0].files = { test: ['test.jsonl'] }),
      /tasks\[0\]\.files\.train: expected files, since the task is used for instruct and selfRefine/,
    ],
    [
      'two tasks of one name',
      (e: Loose): unknown => e.tasks.push(e.tasks[0]),
      /tasks\[1\]\.name: expected a name no other task has/,
    ],
    [
      'a phase without demonstrations',
      (e: Loose): unknown => (e.demonstrations = []),
      /demonstrations of a task that is used for instruct/,
    ],
  ] as const)('refuses %s, naming path, expectation and value', (_name, change, message) => {
    expect(refusal(change)).toMatch(message);
  });

  it('a task that is only evaluated needs no training files', () => {
    const document = example();
    document.tasks.push({ id: 'siqa', name: 'SIQA', files: { test: ['dev.jsonl'] }, use: ['evaluate'] });
    const experiment = parseExperiment(document);
    expect(experiment.tasks.at(-1)!.files).toEqual({ train: [], test: ['dev.jsonl'] });
  });

  it('lists every problem, not only the first', () => {
    const message = refusal((e) => {
      e['seed'] = -1;
      e['phases'].instruct.epochs = 'four';
      e['extra'] = 1;
    });
    expect(message).toMatch(/3 problems/);
    expect(message.split('\n')).toHaveLength(4);
  });

  it('refuses text that is not JSON, and documents that are no objects', () => {
    expect(() => parseExperiment('{ "name": ')).toThrow(/text that is not JSON/);
    for (const value of [null, 3, [], 'null']) expect(() => parseExperiment(value)).toThrow(PupilError);
  });
});

describe('experiment files and presets', () => {
  it('the three files of the first issue are here and parse', () => {
    expect(files).toEqual(
      expect.arrayContaining(['csqa-story-llama.json', 'lesson-c-student-p10.json', 'multiarith-story-llama.json']),
    );
    for (const name of files) expect(parseExperiment(text(name)).name).not.toBe('');
  });

  it('all presets parse; paper has the paper’s numbers, practical ours', () => {
    expect(PRESET_NAMES).toEqual(['lesson', 'smoke', 'paper', 'practical']);
    for (const name of PRESET_NAMES) expect(preset(name).tasks.length).toBeGreaterThan(0);
    expect(preset('paper').phases.selfRefine).toMatchObject({ maxSteps: 1000, warmupSteps: 100, wrongTeacher: 'keep' });
    expect(preset('practical').phases.selfRefine).toMatchObject({
      epochs: 3,
      learningRate: 1e-5,
      wrongTeacher: 'drop',
    });
    expect(() => preset('papers')).toThrow(/expected one of lesson, smoke, paper, practical, got "papers"/);
  });

  it('paths: {data}, {seed}, relative to the file, absolute and URL', () => {
    const roots = { base: '/runs/experiments', data: '/big/data/' };
    expect(resolvePath('{data}/a/b.json', roots, 0)).toBe('/big/data/a/b.json');
    expect(resolvePath('../f/t-{seed}.jsonl', roots, 7)).toBe('/runs/f/t-7.jsonl');
    expect(resolvePath('/abs.json', roots, 0)).toBe('/abs.json');
    expect(resolvePath('x.json', { base: 'http://localhost:1/e/' }, 0)).toBe('http://localhost:1/e/x.json');
    expect(resolvePath('../../../x', { base: 'experiments' }, 0)).toBe('../../x');
    expect(() => resolvePath('{data}/a', { base: '.' }, 0)).toThrow(/needs the data root/);
    expect(() => resolvePath('{home}/a', roots, 0)).toThrow(/got \{home\}/);
  });

  it('every file that the lesson experiment names exists, for three seeds', () => {
    for (const seed of [0, 1, 2]) {
      const e = resolvePaths(
        { ...parseExperiment(text('lesson-c-student-p10.json')), seed },
        { base: decodeURIComponent(folder.pathname) },
      );
      const { tokenizer, source } = e.student;
      const { files: taskFiles } = e.tasks[0]!;
      const named = [
        ...('train' in taskFiles ? [...taskFiles.train, ...taskFiles.test] : []),
        ...e.demonstrations.flatMap((d) => d.files),
        ...(tokenizer.kind === 'words' ? [tokenizer.path] : []),
        ...(source.kind === 'directory' ? [`${source.path}/model.safetensors`] : []),
      ];
      expect(named).toHaveLength(5);
      for (const path of named) expect(existsSync(path), path).toBe(true);
      expect(named[0]).toContain(`seed${seed}`);
    }
  });
});

describe.skipIf(process.env['PUPIL_DATA'] === undefined)('data files of experiments (needs PUPIL_DATA)', () => {
  it('every {data} path of the story_llama experiments exists', () => {
    let count = 0;
    for (const name of files) {
      for (const path of text(name).match(/\{data\}[^"]+/g) ?? []) {
        count++;
        expect(existsSync(path.replace('{data}', process.env['PUPIL_DATA']!)), path).toBe(true);
      }
    }
    expect(count).toBeGreaterThan(10);
  });
});

describe('experimentJsonSchema', () => {
  const schema = experimentJsonSchema() as Loose;

  it('has titles, descriptions, units, origins and defaults for a form', () => {
    const refine = schema.properties.phases.properties.selfRefine.anyOf.find((s: Loose) => s.type === 'object');
    expect(refine.properties.batchSize).toMatchObject({
      title: 'Batch',
      type: 'integer',
      minimum: 1,
      default: 128,
      'x-unit': 'pairs',
      'x-origin': 'paper',
    });
    expect(schema.required).toEqual(expect.arrayContaining(['name', 'student', 'tasks', 'phases']));
    expect(schema.required).not.toContain('seed');
  });

  it('every leaf setting has a title and a description', () => {
    const bare: string[] = [];
    const walk = (node: Loose, path: string): void => {
      for (const [key, value] of Object.entries<Loose>(node.properties ?? {})) {
        const here = `${path}.${key}`;
        if (value.properties !== undefined || value.items?.properties !== undefined) {
          walk(value.properties === undefined ? value.items : value, here);
          continue;
        }
        for (const option of value.anyOf ?? []) walk(option, here);
        if (key === '$schema' || /\.(kind|path|url|all|train|test)$/.test(here)) continue;
        if (!value.title || !value.description) bare.push(here);
      }
    };
    walk(schema, '');
    expect(bare).toEqual([]);
  });

  it('allows no unknown keys anywhere', () => {
    const open: string[] = [];
    const walk = (node: Loose, path: string): void => {
      if (typeof node !== 'object' || node === null) return;
      if (node.type === 'object' && node.additionalProperties !== false) open.push(path);
      for (const [key, value] of Object.entries(node)) if (key !== 'default') walk(value, `${path}/${key}`);
    };
    walk(schema, '');
    expect(open).toEqual([]);
  });
});
