// logParity.test.ts: real answers of real models, judged again. Under the rule of a published log its accuracy comes out
// exactly; where Pupil's strict rule reads another answer, the difference is counted by its reason in docs/answers.md, whose
// table this test recomputes. GSM8K's own example solutions get the published verdict, row for row.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { extractNumber, sameNumber } from '../../../src/tasks/extract/number';
import { extractYesNo } from '../../../src/tasks/extract/yesNo';
import { judge } from '../../../src/tasks/score';
import { firstNumber, firstYesNo, readLog, type LoggedAnswer } from './zeroShotLog';

const data = process.env['PUPIL_DATA'];

const LOGS = [
  ['gsm8k_zero_shot', 1319, 137],
  ['gsm8k_zero_shot_cot', 1319, 537],
  ['multiarith_zero_shot', 600, 106],
  ['multiarith_zero_shot_cot', 600, 472],
  ['strategyqa_zero_shot', 2290, 290],
  ['strategyqa_zero_shot_cot', 2290, 1254],
] as const;

/** Why two rules read different numbers from one reply. The first that fits. */
function numberReason({ reply }: LoggedAnswer, logged: string, ours: string | undefined, rule: string): string {
  if (rule.includes('in words')) return 'the number is written in words';
  if (logged === '') return 'the reply has no number, the text before it has';
  if (ours === undefined) return 'a time, a list, a range, or a sum not worked out';
  if (Number(ours) === -Number(logged)) return 'a minus before the currency sign';
  if (reply.includes('=')) return 'a working and its result';
  if (/\d\/\d|(?<!\d)\.\d/.test(reply)) return 'a fraction, or a decimal without a leading zero';
  return 'the reply says more than one number';
}

function yesNoReason({ reply }: LoggedAnswer, logged: string): string {
  if (/\bboth\b/i.test(reply)) return 'the reply says "both"';
  if (logged === 'no') return '"no" inside a sentence ("there is no record")';
  return 'the reply has neither word as the log reads it, the text has';
}

interface Comparison {
  theirs: number;
  ours: number;
  reasons: Map<string, { n: number; onlyOurs: number; onlyTheirs: number }>;
}

function compare(name: string, answers: readonly LoggedAnswer[]): Comparison {
  const isYesNo = name.startsWith('strategyqa');
  const result: Comparison = { theirs: 0, ours: 0, reasons: new Map() };
  for (const answer of answers) {
    const logged = isYesNo ? firstYesNo(answer.reply) : firstNumber(answer.reply);
    expect(logged).toBe(answer.logged);
    const { answer: ours, rule } = isYesNo ? extractYesNo(answer.text) : extractNumber(answer.text);
    const theirsRight = logged === answer.target; // as text, as the log compares
    const { correct } = judge(isYesNo ? 'yesno' : 'number', { target: answer.target, text: answer.text });
    if (theirsRight) result.theirs++;
    if (correct) result.ours++;
    const same =
      isYesNo || ours === undefined || logged === ''
        ? (ours ?? '') === logged
        : sameNumber(Number(ours), Number(logged));
    if (same && theirsRight === correct) continue;
    const reason = same
      ? 'the same number, written otherwise ("12.0", "1,234")'
      : isYesNo
        ? yesNoReason(answer, logged)
        : numberReason(answer, logged, ours, rule);
    const counts = result.reasons.get(reason) ?? { n: 0, onlyOurs: 0, onlyTheirs: 0 };
    counts.n++;
    if (correct && !theirsRight) counts.onlyOurs++;
    if (theirsRight && !correct) counts.onlyTheirs++;
    result.reasons.set(reason, counts);
  }
  return result;
}

describe.skipIf(data === undefined)('published logs (needs PUPIL_DATA)', () => {
  it.each(LOGS)('%s: %d answers, %d right under the log’s rule, as it reports', (name, n, right) => {
    const { answers, accuracy } = readLog(readFileSync(`${data}/zero_shot_cot/log/${name}.log`, 'utf8'));
    expect(answers).toHaveLength(n);
    const { theirs } = compare(name, answers);
    expect(theirs).toBe(right);
    expect((theirs / n) * 100).toBeCloseTo(accuracy, 10);
  });

  it('docs/answers.md lists every difference between the log’s rule and ours, by reason', () => {
    const table = LOGS.flatMap(([name, n]) => {
      const { answers } = readLog(readFileSync(`${data}/zero_shot_cot/log/${name}.log`, 'utf8'));
      const { theirs, ours, reasons } = compare(name, answers);
      const sorted = [...reasons].sort(([a, x], [b, y]) => y.n - x.n || a.localeCompare(b));
      return [
        ['**' + name + '**', `of ${n}: log ${theirs} right, strict ${ours}`, '', '', ''],
        ...sorted.map(([reason, { n: count, onlyOurs, onlyTheirs }]) => ['', reason, count, onlyOurs, onlyTheirs]),
      ].map((cells) => cells.join('|'));
    });
    const committed = readFileSync(new URL('../../../docs/answers.md', import.meta.url), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim())
          .join('|'),
      );
    expect(table.filter((line) => !committed.includes(line))).toEqual([]);
  });

  it('GSM8K’s example solutions: our verdict is the published one on all 1319 rows of all four models', () => {
    const rows = readFileSync(`${data}/gsm8k/example_model_solutions.jsonl`, 'utf8')
      .trim()
      .split('\n')
      .map(
        (line) =>
          JSON.parse(line) as Record<string, string> & Record<string, { is_correct: boolean; solution: string }>,
      );
    expect(rows).toHaveLength(1319);
    const models = ['6b_finetuning', '6b_verification', '175b_finetuning', '175b_verification'];
    const differing = rows.flatMap((row, i) =>
      models
        .filter((model) => {
          const { is_correct: published, solution } = row[model]!;
          const target = /\nA: (.*)$/.exec(row['ground_truth'] as string)![1]!;
          return judge('number', { target, text: solution }).correct !== published;
        })
        .map((model) => `${i} ${model}`),
    );
    expect(differing).toEqual([]);
  });
});
