// tables.ts: the tables of a report: results with n and intervals, comparisons, teachers, pairs. It computes nothing that
// the report does not already say; it only lays it out.
import { bytes, duration, escapeHtml, number, percent, pValue } from './escape';
import type {
  ComparisonRow,
  DemonstrationSummary,
  EvaluationRow,
  PhaseTiming,
  PromptKind,
  RunReport,
  ScorerRow,
  TaskSummary,
} from './types';

export interface Column {
  title: string;
  /** Numbers are set right. */
  numeric?: boolean;
  /** Extra class of the cells. */
  className?: string;
}

/** A table in a box that scrolls by itself. Cells are HTML already. */
export function table(caption: string, columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const kind = (column: Column | undefined): string => {
    const names = [column?.numeric === true ? 'n' : '', column?.className ?? ''].filter((name) => name !== '');
    return names.length === 0 ? '' : ` class="${names.join(' ')}"`;
  };
  return (
    `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table${columns.length < 6 ? ' class="narrow"' : ''}>` +
    `<caption>${escapeHtml(caption)}</caption><thead><tr>` +
    columns.map((c) => `<th scope="col"${kind(c)}>${escapeHtml(c.title)}</th>`).join('') +
    '</tr></thead><tbody>' +
    rows.map((row) => `<tr>${row.map((cell, i) => `<td${kind(columns[i])}>${cell}</td>`).join('')}</tr>`).join('') +
    '</tbody></table></div>'
  );
}

const PROMPTS: Record<PromptKind, string> = { plain: 'plain', cot: 'CoT' };

/** Row name as in the paper's tables: the untouched student asked with the CoT prompt is `Baseline CoT`. */
export function systemLabel(row: Pick<EvaluationRow, 'system' | 'prompt'>): string {
  return row.system === 'Baseline' && row.prompt === 'cot' ? 'Baseline CoT' : row.system;
}

/** A bar from 0 to 100 % with the interval drawn over it. */
function accuracyBar(row: EvaluationRow): string {
  const at = (share: number): string => (Math.min(1, Math.max(0, share)) * 100).toFixed(2);
  const share = row.n === 0 ? 0 : row.correct / row.n;
  return (
    '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">' +
    '<rect class="track" x="0" y="2" width="100" height="6"/>' +
    `<rect class="mean" x="0" y="2" width="${at(share)}" height="6"/>` +
    `<line class="range" x1="${at(row.low)}" x2="${at(row.high)}" y1="5" y2="5"/></svg>`
  );
}

/** Accuracy with n and Wilson 95 % interval, a row per system, task, prompt and scorer. */
export function evaluationTable(rows: readonly EvaluationRow[]): string {
  return table(
    'Accuracy with n and the Wilson 95 % interval',
    [
      { title: 'Task' },
      { title: 'System', className: 'name' },
      { title: 'Prompt' },
      { title: 'Scorer' },
      { title: 'Accuracy %', numeric: true },
      { title: '95 % interval', numeric: true },
      { title: '0 – 100 %', className: 'bar' },
      { title: 'Correct / n', numeric: true },
      { title: 'Cut off', numeric: true },
    ],
    rows.map((row) => [
      escapeHtml(row.taskId),
      escapeHtml(systemLabel(row)),
      PROMPTS[row.prompt],
      escapeHtml(row.scorer),
      `<b>${row.n === 0 ? '–' : percent(row.correct / row.n)}</b>`,
      `${percent(row.low)} – ${percent(row.high)}`,
      accuracyBar(row),
      `${row.correct} / ${row.n}`,
      number(row.cutOff),
    ]),
  );
}

/** What a reader must know of lenient matching before the numbers; HTML. */
export const LENIENT =
  'Lenient (literal) matching calls an answer right where the target occurs anywhere in its text: a chain of reasoning that names every option, or passes the number on its way, is counted as right whatever it concludes, so a high lenient accuracy can hide wrong answers. The same answers, judged side by side:';

/** `+4.0`, `−1.5`, `0.0`: a difference of shares in points of per cent. */
export function signedPoints(share: number): string {
  const points = Math.abs(share * 100).toFixed(1);
  return points === '0.0' ? points : `${share < 0 ? '−' : '+'}${points}`;
}

/** Strict, literal and the paper's scorer on the same answers, a row per system, task and prompt. */
export function scorerTable(rows: readonly ScorerRow[]): string {
  const share = (count: number, n: number): string => (n === 0 ? '–' : percent(count / n));
  return table(
    'The same answers by three scorers, accuracy %',
    [
      { title: 'Task' },
      { title: 'System', className: 'name' },
      { title: 'Prompt' },
      { title: 'n', numeric: true },
      { title: 'Strict', numeric: true },
      { title: 'Literal (lenient)', numeric: true },
      { title: 'Literal − strict, points', numeric: true },
      { title: 'Right by literal only', numeric: true },
      { title: 'Right by strict only', numeric: true },
      { title: 'Paper-compat', numeric: true },
    ],
    rows.map((row) => [
      escapeHtml(row.taskId),
      escapeHtml(systemLabel(row)),
      PROMPTS[row.prompt],
      number(row.n),
      `<b>${share(row.correct.strict, row.n)}</b>`,
      `<b>${share(row.correct.literal, row.n)}</b>`,
      row.n === 0 ? '–' : signedPoints((row.correct.literal - row.correct.strict) / row.n),
      number(row.literalOnly),
      number(row.strictOnly),
      share(row.correct['paper-compat'], row.n),
    ]),
  );
}

/** McNemar's test, a row per pair of systems. */
export function comparisonTable(rows: readonly ComparisonRow[]): string {
  return table(
    'Same questions, two systems: McNemar’s exact test',
    [
      { title: 'Task' },
      { title: 'First', className: 'name' },
      { title: 'Second', className: 'name' },
      { title: 'Prompt' },
      { title: 'Scorer' },
      { title: 'Only first right', numeric: true },
      { title: 'Only second right', numeric: true },
      { title: 'p (two-sided)', numeric: true },
    ],
    rows.map((row) => [
      escapeHtml(row.taskId),
      escapeHtml(row.first),
      escapeHtml(row.secondScorer === undefined ? row.second : `${row.second}, ${row.secondScorer}`),
      PROMPTS[row.prompt],
      escapeHtml(row.scorer),
      number(row.onlyFirst),
      number(row.onlySecond),
      pValue(row.p),
    ]),
  );
}

/** Teachers: their own accuracy and what was made of their demonstrations. */
export function demonstrationTable(rows: readonly DemonstrationSummary[]): string {
  const unknown = rows.some(({ unknownWords = 0 }) => unknownWords > 0);
  const byHand = rows.some(({ excludedByHand, editedByHand }) => (excludedByHand ?? editedByHand) !== undefined);
  return table(
    'Demonstrations by teacher',
    [
      { title: 'Teacher' },
      { title: 'Task' },
      { title: 'Family' },
      { title: 'Used', numeric: true },
      { title: 'Read', numeric: true },
      { title: 'Teacher right %', numeric: true },
      { title: 'n', numeric: true },
      { title: 'Not in training', numeric: true },
      { title: 'Too long', numeric: true },
      ...(unknown ? [{ title: 'Unknown words', numeric: true }] : []),
      { title: 'Wrong, dropped', numeric: true },
      ...(byHand
        ? [
            { title: 'Left out by hand', numeric: true },
            { title: 'Edited by hand', numeric: true },
          ]
        : []),
      { title: 'Unusable lines', numeric: true },
    ],
    rows.map((row) => [
      escapeHtml(row.label),
      escapeHtml(row.taskId),
      escapeHtml(row.family),
      number(row.used),
      number(row.read),
      row.teacherN === 0
        ? '–'
        : `${percent(row.teacherCorrect / row.teacherN)} (${percent(row.teacherLow)} – ${percent(row.teacherHigh)})`,
      number(row.teacherN),
      number(row.notInTraining),
      number(row.tooLong),
      ...(unknown ? [number(row.unknownWords ?? 0)] : []),
      number(row.droppedWrong),
      ...(byHand ? [number(row.excludedByHand ?? 0), number(row.editedByHand ?? 0)] : []),
      number(row.rejectedLines),
    ]),
  );
}

export function taskTable(rows: readonly TaskSummary[]): string {
  return table(
    'Tasks and their splits',
    [
      { title: 'Task' },
      { title: 'Benchmark' },
      { title: 'Training items', numeric: true },
      { title: 'Test items', numeric: true },
      { title: 'Too long', numeric: true },
      { title: 'Notes' },
    ],
    rows.map((row) => [
      escapeHtml(row.taskId),
      escapeHtml(row.benchmark),
      number(row.trainItems),
      number(row.testItems),
      number(row.tooLong),
      row.notes.map(escapeHtml).join('<br>'),
    ]),
  );
}

/** Counts of preference pairs by case, with what each counts where the report says it. */
export function pairTable(counts: Record<string, number>, meanings?: Record<string, string>): string {
  return table(
    'Preference pairs by case',
    [
      { title: 'Case' },
      { title: 'Count', numeric: true },
      ...(meanings === undefined ? [] : [{ title: 'What is counted' }]),
    ],
    Object.entries(counts).map(([name, count]) => [
      escapeHtml(name),
      number(count),
      ...(meanings === undefined ? [] : [escapeHtml(meanings[name] ?? '')]),
    ]),
  );
}

export function timingTable(rows: readonly PhaseTiming[]): string {
  return table(
    'Time by phase (pauses not counted)',
    [
      { title: 'Phase' },
      { title: 'Time', numeric: true },
      { title: 'Steps', numeric: true },
      { title: 'Tokens', numeric: true },
      { title: 'Tokens / s', numeric: true },
    ],
    rows.map((row) => [
      escapeHtml(row.phase),
      duration(row.seconds),
      row.steps === undefined ? '' : number(row.steps),
      row.tokens === undefined ? '' : number(row.tokens),
      row.tokens === undefined || row.seconds <= 0 ? '' : number(Math.round(row.tokens / row.seconds)),
    ]),
  );
}

export function bytesTable(report: RunReport['bytes']): string {
  return table(
    'Bytes',
    [{ title: 'What' }, { title: 'Size', numeric: true }],
    [
      ['GPU, at most at one time', bytes(report.gpuPeak)],
      ...Object.entries(report.gpuParts).map(([name, size]) => [`GPU: ${escapeHtml(name)}`, bytes(size)]),
      ['Adapter file', bytes(report.adapterFile)],
      ['Checkpoint', bytes(report.checkpoint)],
    ],
  );
}
