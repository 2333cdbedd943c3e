// orderings.ts: which of the paper's orderings held: Baseline < Instruction-tuned < Self-refined where it was trained, and what
// it says of other tasks and of single phases. Counted over runs and tasks from findings.ts; absolute numbers are no target.
import { findings, SIGNIFICANCE, type Step } from './findings';
import { percentText, taskNames, type Collection } from './cells';
import { placeOf, type PaperView, type Place } from './paperTables';
import type { SeriesReport } from './series';
import type { ComparisonRow, EvaluationRow } from './types';

/** One place where a claim can be looked at. */
export interface OrderingCase {
  trainedOn: string;
  detail: string;
  taskId: string;
  seed: number;
  before: number;
  after: number;
  /** Of the second less the first, in points of per cent. */
  points: number;
  /** McNemar's, by Holm among all tests of these runs; absent where the two are of different runs. */
  p?: number;
}

export interface Ordering {
  id: string;
  /** As the paper has it. */
  claim: string;
  where: string;
  cases: OrderingCase[];
  /** Of the cases: the second above the first; of these, more than chance; below it; of these, more than chance. */
  held: number;
  clear: number;
  reversed: number;
  clearlyReversed: number;
}

/** What one run of a cell says, in the form that a report has it; p-values are Holm's. */
function rowsOfRun(
  report: SeriesReport,
  cell: number,
  seed: number,
  view: PaperView,
): { evaluations: EvaluationRow[]; comparisons: ComparisonRow[] } {
  const evaluations = report.results.flatMap((result): EvaluationRow[] => {
    if (result.cell !== cell || result.scorer !== view.scorer || result.prompt !== view.prompt) return [];
    const { system, taskId, prompt, scorer } = result;
    return result.runs
      .filter((run) => run.seed === seed)
      .map(({ correct, n, cutOff }) => ({ system, taskId, prompt, scorer, correct, n, low: NaN, high: NaN, cutOff }));
  });
  const comparisons = report.comparisons.flatMap((row): ComparisonRow[] => {
    if (row.cell !== cell || row.scorer !== view.scorer || row.prompt !== view.prompt) return [];
    const { taskId, prompt, scorer, first, second } = row;
    return row.runs
      .filter((run) => run.seed === seed)
      .map(({ onlyFirst, onlySecond, holm }) => ({
        taskId,
        prompt,
        scorer,
        first,
        second,
        onlyFirst,
        onlySecond,
        p: holm,
      }));
  });
  return { evaluations, comparisons };
}

const PLACES: readonly (readonly [Place, string])[] = [
  ['trained', 'on the task that was trained'],
  ['in-domain', 'on other tasks of the same kind'],
  ['out-domain', 'on tasks of the other kind'],
];

function counted(id: string, claim: string, where: string, cases: readonly OrderingCase[]): Ordering[] {
  if (cases.length === 0) return [];
  const isClear = ({ p }: OrderingCase): boolean => p !== undefined && p < SIGNIFICANCE;
  const held = cases.filter(({ points }) => points > 0);
  const reversed = cases.filter(({ points }) => points < 0);
  return [
    {
      id,
      claim,
      where,
      cases: [...cases],
      held: held.length,
      clear: held.filter(isClear).length,
      reversed: reversed.length,
      clearlyReversed: reversed.filter(isClear).length,
    },
  ];
}

/** The paper's orderings, each over all runs and tasks that can show it; none where no run can. */
export function orderings({ report, facts }: Collection, view: PaperView): Ordering[] {
  const first: Record<Place, OrderingCase[]> = { trained: [], 'in-domain': [], 'out-domain': [], unknown: [] };
  const refine: Record<Place, OrderingCase[]> = { trained: [], 'in-domain': [], 'out-domain': [], unknown: [] };
  for (const { cell, seed } of report.runs) {
    const own = facts[cell]!;
    const detail = report.cells[cell]!.labels.join(', ');
    for (const finding of findings(rowsOfRun(report, cell, seed, view))) {
      const add = (to: Record<Place, OrderingCase[]>, step: Step | undefined): void => {
        if (step === undefined) return;
        const { before, after, points, p } = step;
        const trainedOn = taskNames(own.trainedOn);
        to[placeOf(own, finding.taskId, step.to)].push({
          trainedOn,
          detail,
          taskId: finding.taskId,
          seed,
          before,
          after,
          points,
          ...(p === undefined ? {} : { p }),
        });
      };
      if (finding.first?.to === 'Instruction-tuned') add(first, finding.first);
      add(refine, finding.refine);
    }
  }
  const baseline = view.prompt === 'cot' ? 'Baseline CoT' : 'Baseline';
  const byPlace = (id: string, claim: string, of: Record<Place, OrderingCase[]>): Ordering[] =>
    PLACES.flatMap(([place, where]) => counted(`${id}-${place}`, claim, where, of[place]));
  return [
    ...byPlace('instruct', `${baseline} < Instruction-tuning`, first),
    ...byPlace('refine', 'Instruction-tuning < + Self-refine', refine),
    ...betweenWays({ report, facts }, view),
  ];
}

/** Section 4.4: self-refine alone against instruction-tuning alone, and against both, with the same demonstrations. */
function betweenWays({ report, facts }: Pick<Collection, 'report' | 'facts'>, view: PaperView): Ordering[] {
  const alone: OrderingCase[] = [];
  const both: OrderingCase[] = [];
  const seedsOf = (cell: number, system: string, taskId: string): Map<number, number> => {
    const found = report.results.find(
      (result) =>
        result.cell === cell &&
        result.system === system &&
        result.taskId === taskId &&
        result.prompt === view.prompt &&
        result.scorer === view.scorer,
    );
    return new Map(found?.runs.map(({ seed, correct, n }) => [seed, correct / n]));
  };
  facts.forEach((own, cell) => {
    if (own.way !== 'refine' || own.share === undefined) return;
    facts.forEach((other, otherCell) => {
      const same =
        other.way !== 'refine' &&
        other.way !== 'none' &&
        other.share === own.share &&
        other.student === own.student &&
        taskNames(other.trainedOn) === taskNames(own.refinedOn) &&
        (other.way === 'instruct' || taskNames(other.refinedOn) === taskNames(own.refinedOn)) &&
        JSON.stringify(other.teachers) === JSON.stringify(own.teachers);
      if (!same) return;
      for (const taskId of own.refinedOn) {
        const refined = seedsOf(cell, 'Self-refined', taskId);
        const against = (to: OrderingCase[], system: string, isBefore: boolean): void => {
          for (const [seed, accuracy] of seedsOf(otherCell, system, taskId)) {
            const ours = refined.get(seed);
            if (ours === undefined) continue;
            const [before, after] = isBefore ? [accuracy, ours] : [ours, accuracy];
            const detail = percentText(own.share!);
            to.push({
              trainedOn: taskNames(own.refinedOn),
              detail,
              taskId,
              seed,
              before,
              after,
              points: 100 * (after - before),
            });
          }
        };
        against(alone, 'Instruction-tuned', true);
        against(both, 'Self-refined', false);
      }
    });
  });
  const where = 'on the task that was trained, with the same share of the demonstrations';
  return [
    ...counted('refine-alone', 'Instruction-tuning only < Self-refine only', where, alone),
    ...counted('both', 'Self-refine only < Both', where, both),
  ];
}
