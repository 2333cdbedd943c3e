// findings.ts: what a run's rows show, step by step: did the accuracy rise, fall or stay, by how many points, and does
// McNemar's test call it more than chance. It reads rows that the report has and writes no text (words.ts does).
import { matchesOneAnswer } from '../config/scorerNames';
import { SYSTEM_NAMES } from '../config/systems';
import type { EvaluationRow, PromptKind, RunReport, SystemName } from './types';

/** A p-value below this counts as more than chance. */
export const SIGNIFICANCE = 0.05;

/**
 * `better` and `worse` are more than chance, `higher` and `lower` are not (or were not tested), `same` is no difference.
 */
export type Verdict = 'better' | 'higher' | 'same' | 'lower' | 'worse';

/** Two systems on the same questions, from the first to the second. */
export interface Step {
  from: SystemName;
  to: SystemName;
  /** Accuracies as shares. */
  before: number;
  after: number;
  /** Accuracy of the second less that of the first, in points of per cent. */
  points: number;
  /** McNemar's; absent where the two were not tested against each other. */
  p?: number;
  verdict: Verdict;
}

/** One task, asked with one prompt. */
export interface Finding {
  taskId: string;
  prompt: PromptKind;
  scorer: string;
  /** Accuracies in the order of the systems. */
  rows: EvaluationRow[];
  /** Baseline → Instruction-tuned, or Baseline → Self-refined where there was no phase 1. */
  first?: Step;
  /** Instruction-tuned → Self-refined. */
  refine?: Step;
  /** Baseline → Self-refined, where there was a phase 1 in between. */
  overall?: Step;
  /** Instruction-tuned → the control. */
  control?: Step;
  /** The control → Self-refined: what self-refine does beyond training for longer. */
  beyondControl?: Step;
}

type Rows = Pick<RunReport, 'evaluations' | 'comparisons'>;

function stepOf(report: Rows, rows: readonly EvaluationRow[], from: SystemName, to: SystemName): Step | undefined {
  const [first, second] = [from, to].map((system) => rows.find((row) => row.system === system));
  if (first === undefined || second === undefined) return undefined;
  const { taskId, prompt, scorer } = first;
  const test = report.comparisons.find(
    (row) =>
      row.taskId === taskId &&
      row.prompt === prompt &&
      row.scorer === scorer &&
      row.first === from &&
      row.second === to,
  );
  const [before, after] = [first.correct / first.n, second.correct / second.n];
  const isClear = test !== undefined && test.p < SIGNIFICANCE;
  const verdict =
    after > before ? (isClear ? 'better' : 'higher') : after < before ? (isClear ? 'worse' : 'lower') : 'same';
  return {
    from,
    to,
    before,
    after,
    points: 100 * (after - before),
    ...(test === undefined ? {} : { p: test.p }),
    verdict,
  };
}

/** Findings by task; of each the CoT prompt first. Probing is no answer of the student and is left out. */
export function findings(report: Rows): Finding[] {
  const answered = report.evaluations.filter((row) => matchesOneAnswer(row.scorer) && row.n > 0);
  const tasks = [...new Set(answered.map((row) => row.taskId))];
  return tasks.flatMap((taskId) =>
    (['cot', 'plain'] as const).flatMap((prompt) => {
      const rows = answered
        .filter((row) => row.taskId === taskId && row.prompt === prompt)
        .sort((a, b) => SYSTEM_NAMES.indexOf(a.system) - SYSTEM_NAMES.indexOf(b.system));
      const [one] = rows;
      if (one === undefined) return [];
      const step = (from: SystemName, to: SystemName): Step | undefined => stepOf(report, rows, from, to);
      const tuned = step('Baseline', 'Instruction-tuned');
      const whole = step('Baseline', 'Self-refined');
      const steps = {
        first: tuned ?? whole,
        refine: step('Instruction-tuned', 'Self-refined'),
        overall: tuned === undefined ? undefined : whole,
        control: step('Instruction-tuned', 'Instruction-tuned, more steps'),
        beyondControl: step('Instruction-tuned, more steps', 'Self-refined'),
      };
      const present = Object.fromEntries(Object.entries(steps).filter(([, value]) => value !== undefined));
      return [{ taskId, prompt, scorer: one.scorer, rows, ...present }];
    }),
  );
}
