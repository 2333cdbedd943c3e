// runFiles.ts: the files of a small finished run as they lie in a folder of `pupil run --out`, made without one: for tests of what
// leaves a browser and comes into it. Tests only.
import { parseExperiment } from '../../src/config/experiment';
import { preset } from '../../src/config/presets';
import { writeAdapterNote } from '../../src/formats/adapterNote';
import { writePeftAdapter } from '../../src/formats/peft';
import { renderReport } from '../../src/report/html';
import type { EvaluationRow, MetricsRow, RunReport } from '../../src/report/types';

type Files = Record<string, Uint8Array>;

const encoder = new TextEncoder();
export const json = (value: unknown): Uint8Array => encoder.encode(`${JSON.stringify(value, null, 2)}\n`);
const lines = (rows: readonly unknown[]): Uint8Array =>
  encoder.encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

const STUDENT = { source: 'students/lesson', fingerprint: 'd939311360d74721', quantize: 'nf4-double' } as const;

function row(system: EvaluationRow['system'], correct: number): EvaluationRow {
  return {
    system,
    taskId: 'A stories',
    prompt: 'cot',
    scorer: 'strict',
    correct,
    n: 8,
    low: 0.1,
    high: 0.9,
    cutOff: 0,
  };
}

const curve = (phase: MetricsRow['phase'], values: (step: number) => Record<string, number>): MetricsRow[] =>
  [1, 2, 3, 4].map((step) => ({ phase, step, totalSteps: 4, values: values(step) }));

/** A report with something in every part. */
export function runReport(changes: Partial<RunReport> = {}): RunReport {
  return {
    format: 'pupil-report',
    version: 1,
    runId: 'smoke-1',
    name: 'Smoke',
    state: 'finished',
    startedAt: '2026-03-01T10:00:00.000Z',
    finishedAt: '2026-03-01T10:02:03.000Z',
    experiment: parseExperiment(preset('smoke')),
    environment: {
      vendor: 'acme',
      architecture: 'one',
      device: 'dev',
      description: 'Acme One',
      software: false,
      tier: 'f32',
      variants: { linear: 'register' },
      host: 'browser',
      userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36',
      pupilVersion: '0.1.0',
    },
    student: { ...STUDENT, parameters: 914176, layers: 4, hiddenSize: 128, vocabSize: 477 },
    tasks: [
      { taskId: 'A stories', benchmark: 'Lesson A: stories', trainItems: 12, testItems: 8, tooLong: 0, notes: [] },
    ],
    demonstrations: [],
    evaluations: [row('Baseline', 1), row('Instruction-tuned', 5), row('Self-refined', 6)],
    comparisons: [
      {
        taskId: 'A stories',
        prompt: 'cot',
        scorer: 'strict',
        first: 'Baseline',
        second: 'Self-refined',
        onlyFirst: 0,
        onlySecond: 5,
        p: 0.0625,
      },
    ],
    curves: [
      ...curve('instruct', (step) => ({ loss: 1 / step, learning_rate: 1e-3 })),
      ...curve('self-refine', (step) => ({ loss: 0.69 / step, 'rewards/margins': step / 10 })),
    ],
    pairs: {
      counts: { prompts: 2, pairs: 1 },
      meanings: { prompts: 'prompts sampled', pairs: 'pairs made' },
      samples: [{ taskId: 'A stories', prompt: 'Q', chosen: 'a', rejected: 'b', target: '8', chosenFrom: 'teacher' }],
    },
    kept: { rule: 'lowest-validation-loss', step: 4, validationLoss: 0.6 },
    samples: [
      {
        taskId: 'A stories',
        itemId: 'i0',
        question: 'How many?',
        target: '8',
        answers: [{ system: 'Baseline', prompt: 'cot', text: '7 <b>', correct: false, stopped: 'eos' }],
      },
    ],
    timings: [
      { phase: 'load', seconds: 1 },
      { phase: 'instruct', seconds: 20.5, steps: 4, tokens: 1000 },
    ],
    bytes: { gpuPeak: 2 ** 24, gpuParts: { weights: 2 ** 20 }, adapterFile: 1000, checkpoint: 2000 },
    artefacts: ['report.json', 'report.html'],
    log: [{ level: 'warning', message: 'a warning <script>' }],
    ...changes,
  };
}

/** Of the student that the adapters belong to: those of unit tests are of a tiny one, tests of pages have the lesson's. */
export interface AdapterSizes {
  hidden: number;
  inner: number;
}
export const LESSON_SIZES: AdapterSizes = { hidden: 128, inner: 384 };

/** PEFT's two files and the note, below a folder. */
function adapter(folder: string, value: number, { hidden, inner }: AdapterSizes): Files {
  const files = {
    ...writePeftAdapter({
      r: 2,
      alpha: 4,
      dropout: 0,
      rsLora: false,
      targetModules: ['up_proj'],
      baseModel: 'students/lesson',
      tensors: new Map([
        [
          'model.layers.1.mlp.up_proj',
          {
            a: { shape: [2, hidden] as const, data: new Float32Array(2 * hidden).fill(value) },
            b: {
              shape: [inner, 2] as const,
              data: Float32Array.from({ length: 2 * inner }, (_, i) => -value / (1 + i)),
            },
          },
        ],
      ]),
    }),
    ...writeAdapterNote({ runId: 'smoke-1', student: STUDENT }),
  };
  return Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${folder}/${name}`, bytes]));
}

const about = { taskId: 'A stories', itemId: 'i0', target: '8' };

/** Every file that a run leaves, by its path. */
export function runFiles(report = runReport(), sizes: AdapterSizes = { hidden: 32, inner: 48 }): Files {
  return {
    'report.json': json(report),
    'report.html': encoder.encode(renderReport(report)),
    'metrics.jsonl': lines(
      report.curves.map(({ phase, step, totalSteps, values }) => ({ phase, step, totalSteps, ...values })),
    ),
    'demonstrations.jsonl': lines([
      {
        id: 'd0',
        ...about,
        instruction: 'Answer.',
        question: 'How many?',
        answer: 'First, 8.',
        teacher: 'scripted',
        family: 'in-family',
        correct: true,
      },
    ]),
    'pairs.jsonl': lines([
      {
        ...about,
        sample: 0,
        prompt: { text: 'Q', ids: [1, 2] },
        chosen: { text: 'a, "b"\n=1+1', ids: [3], from: 'teacher' },
        rejected: { text: '=HYPERLINK("x")', ids: [4, 5], from: 'student' },
        cases: ['teacher_fallback'],
        split: 'training',
      },
    ]),
    'predictions.jsonl': lines(
      (['Baseline', 'Self-refined'] as const).map((system) => ({
        system,
        ...about,
        prompt: 'cot',
        question: 'How many?',
        text: 'It is 8.',
        stopped: 'eos',
        correct: { strict: true },
      })),
    ),
    ...adapter('adapters/instruct', 0.25, sizes),
    ...adapter('adapters/self-refine', 0.5, sizes),
  };
}

/** The files as a picked folder is given. */
export const asBlobs = (files: Files): Record<string, Blob> =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, new Blob([bytes.slice()])]));
