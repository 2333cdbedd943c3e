// reportSchema.ts: report.json and its companions as they may come from elsewhere, checked to the last number before anything of
// them is stored, drawn or put into a page. The types are report/types.ts; this file only refuses.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { parseExperiment } from '../config/experiment';
import { listProblems } from '../config/problems';
import { SYSTEM_NAMES } from '../config/systems';
import { decodeUtf8, parseJsonObject, parseStrictJson } from '../formats/jsonText';
import type { PhaseName, RunReport } from '../report/types';
import { PHASES } from './runState';

export const text = v.string();
export const number = v.pipe(v.number(), v.finite());
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
export const optional = v.exactOptional;
export const system = v.picklist(SYSTEM_NAMES);
export const prompt = v.picklist(['plain', 'cot']);
const phase = v.picklist(['load', ...PHASES] satisfies PhaseName[]);
export const time = v.pipe(text, v.isoTimestamp());
export const counts = v.record(text, number);

export const EvaluationSchema = v.object({
  system,
  taskId: text,
  prompt,
  scorer: text,
  correct: count,
  n: count,
  low: share,
  high: share,
  cutOff: count,
});

const ScorerSchema = v.object({
  system,
  taskId: text,
  prompt,
  n: count,
  correct: v.object({ strict: count, literal: count, 'paper-compat': count }),
  literalOnly: count,
  strictOnly: count,
});

const ComparisonSchema = v.object({
  taskId: text,
  prompt,
  scorer: text,
  first: system,
  second: system,
  secondScorer: optional(text),
  onlyFirst: count,
  onlySecond: count,
  p: share,
});

const DemonstrationsSchema = v.object({
  label: text,
  taskId: text,
  family: v.picklist(['in-family', 'out-family']),
  format: text,
  files: v.array(text),
  read: count,
  rejectedLines: count,
  rejectedExamples: v.array(text),
  notInTraining: count,
  beyondShare: optional(count),
  tooLong: count,
  unknownWords: optional(count),
  droppedWrong: count,
  excludedByHand: optional(count),
  editedByHand: optional(count),
  used: count,
  teacherCorrect: count,
  teacherN: count,
  teacherLow: share,
  teacherHigh: share,
});

const TaskSchema = v.object({
  taskId: text,
  benchmark: text,
  trainItems: count,
  testItems: count,
  tooLong: count,
  notes: v.array(text),
});

const AnswerSchema = v.object({ system, prompt, text, correct: v.boolean(), stopped: v.picklist(['eos', 'length']) });

const SampleSchema = v.object({
  taskId: text,
  itemId: text,
  question: text,
  target: text,
  answers: v.array(AnswerSchema),
});

const PairSampleSchema = v.object({
  taskId: text,
  prompt: text,
  chosen: text,
  rejected: text,
  target: text,
  chosenFrom: v.picklist(['student', 'teacher']),
});

export const EnvironmentSchema = v.object({
  vendor: text,
  architecture: text,
  device: text,
  description: text,
  software: v.boolean(),
  tier: text,
  variants: v.record(text, text),
  host: v.picklist(['browser', 'node']),
  userAgent: text,
  pupilVersion: text,
});

export const StudentSchema = v.object({
  source: text,
  parameters: count,
  layers: count,
  hiddenSize: count,
  vocabSize: count,
  quantize: text,
  fingerprint: text,
});

export const MetricsSchema = v.array(v.object({ phase, step: count, totalSteps: count, values: counts }));
export const TimingsSchema = v.array(
  v.object({ phase, seconds: number, steps: optional(count), tokens: optional(count) }),
);
export const LogSchema = v.array(v.object({ level: v.picklist(['info', 'warning']), message: text }));
/** Which checkpoint of phase 2 is the best, and by what. */
export const KeptSchema = v.object({
  step: count,
  validationLoss: optional(number),
  validationChosenLogp: optional(number),
});

const tokens = v.looseObject({ text, ids: v.array(count) });
/** A preference pair; what it was made from stays. */
export const PairSchema = v.looseObject({
  taskId: text,
  itemId: text,
  target: text,
  prompt: tokens,
  chosen: tokens,
  rejected: tokens,
  cases: v.array(text),
});

const ReportSchema = v.object({
  format: v.literal('pupil-report'),
  version: v.literal(1),
  runId: text,
  name: v.pipe(text, v.nonEmpty(), v.maxLength(500)),
  state: v.picklist(['finished', 'stopped', 'failed']),
  error: optional(v.object({ code: text, message: text })),
  startedAt: time,
  finishedAt: time,
  experiment: v.looseObject({ seed: count }),
  environment: EnvironmentSchema,
  student: StudentSchema,
  tasks: v.array(TaskSchema),
  demonstrations: v.array(DemonstrationsSchema),
  evaluations: v.array(EvaluationSchema),
  comparisons: v.array(ComparisonSchema),
  scorers: optional(v.array(ScorerSchema)),
  curves: MetricsSchema,
  pairs: optional(v.object({ counts, meanings: optional(v.record(text, text)), samples: v.array(PairSampleSchema) })),
  kept: optional(v.object({ ...KeptSchema.entries, rule: text })),
  samples: v.array(SampleSchema),
  timings: TimingsSchema,
  bytes: v.object({ gpuPeak: number, gpuParts: counts, adapterFile: number, checkpoint: number }),
  artefacts: v.array(text),
  log: LogSchema,
});

/** Lines of the files beside the report, as far as the page uses them; what else is in a line stays. */
const LINES: Readonly<Record<string, v.GenericSchema>> = {
  'metrics.jsonl': v.objectWithRest({ phase, step: count, totalSteps: count }, number),
  'demonstrations.jsonl': v.looseObject({
    taskId: text,
    itemId: text,
    instruction: text,
    question: text,
    answer: text,
    target: text,
    teacher: text,
    correct: v.boolean(),
  }),
  'pairs.jsonl': v.looseObject({ ...PairSchema.entries, split: v.picklist(['training', 'validation']) }),
  'predictions.jsonl': v.looseObject({
    system,
    taskId: text,
    prompt,
    itemId: text,
    target: text,
    text: optional(text),
    texts: optional(v.array(text)),
  }),
};

const SHOWN = 5;

/**
 * A report from anywhere.
 * @throws PupilError `format` where it is no JSON, `data` naming what is not as a report has it, e.g.
 *   `report.json: evaluations[0].n: expected integer, got "<img>"`
 */
export function readReport(bytes: Uint8Array, label: string): RunReport {
  const json = parseJsonObject(bytes, label);
  if (json['format'] !== 'pupil-report') {
    throw new PupilError(
      'data',
      `${label}: expected the report of a run (format "pupil-report"), got ${JSON.stringify(json['format'])?.slice(0, 60) ?? 'a document without a format'}`,
      'Pick the zip or the folder of a run, or its report.json.',
    );
  }
  if (json['version'] !== 1) {
    throw new PupilError(
      'data',
      `${label}: expected version 1 of a report, got ${JSON.stringify(json['version'])?.slice(0, 60) ?? 'none'}`,
      'It was made by another version of Pupil: import it there.',
    );
  }
  const parsed = v.safeParse(ReportSchema, json);
  if (!parsed.success) throw notAsExpected(label, parsed.issues);
  const { experiment, ...report } = parsed.output;
  return { ...report, experiment: parseExperiment(experiment) };
}

/** @throws PupilError `format` or `data`, naming file and line */
export function checkLines(bytes: Uint8Array, name: string, label: string): void {
  const schema = LINES[name] ?? v.unknown();
  decodeUtf8(bytes, label)
    .split('\n')
    .forEach((line, i) => {
      if (line.trim() === '') return;
      const place = `${label}:${i + 1}`;
      const parsed = v.safeParse(schema, parseStrictJson(line, place));
      if (!parsed.success) throw notAsExpected(place, parsed.issues);
    });
}

/** The first few things that are not as they should be, in one message. */
export function notAsExpected(label: string, issues: readonly v.BaseIssue<unknown>[]): PupilError {
  const problems = listProblems(issues);
  const shown = problems
    .slice(0, SHOWN)
    .map(({ path, expected, value }) => `${path}: expected ${expected}, got ${value}`);
  const more = problems.length > SHOWN ? `; and ${problems.length - SHOWN} more` : '';
  return new PupilError(
    'data',
    `${label}: ${shown.join('; ')}${more}`,
    'The file was changed, damaged, or made by another version of Pupil.',
  );
}
