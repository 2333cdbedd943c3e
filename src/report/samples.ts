// samples.ts: questions with every system's answers side by side, before and after. It shows what the report holds, in its
// order; which questions those are is decided where the report is made.
import { escapeHtml, number } from './escape';
import { systemLabel } from './tables';
import type { PromptKind, ReportSample, SampleAnswer, SystemName } from './types';

/** A task shows no more than so many, so that pages stay small enough for a phone. */
const MAX_SAMPLES = 10;
/** The first of each task stand open. */
const OPEN_SAMPLES = 2;

/** One answer in a box. `mark` is HTML. */
export function answerBox(title: string, text: string, mark: string): string {
  return `<div class="answer"><b>${escapeHtml(title)}</b> ${mark}<pre>${text === '' ? '<span class="soft">(empty)</span>' : escapeHtml(text)}</pre></div>`;
}

const verdict = ({ correct, stopped }: SampleAnswer): string =>
  (correct ? '<span class="good">✓ right</span>' : '<span class="bad">✗ wrong</span>') +
  (stopped === 'length' ? ' <span class="warning">cut off</span>' : '');

const PROMPTS: readonly (readonly [PromptKind, string])[] = [
  ['cot', 'Asked to think step by step (CoT prompt)'],
  ['plain', 'Asked plainly'],
];

/** A mark for every system: the question's whole story at a glance, of the CoT prompt where there is one. */
function marks(answers: readonly SampleAnswer[], systems: readonly SystemName[]): string {
  const shown = answers.some(({ prompt }) => prompt === 'cot') ? 'cot' : 'plain';
  return systems
    .map((system) => {
      const answer = answers.find((one) => one.system === system && one.prompt === shown);
      if (answer === undefined) return '<span class="soft">–</span>';
      return answer.correct ? '<span class="good">✓</span>' : '<span class="bad">✗</span>';
    })
    .join(' ');
}

function sample(one: ReportSample, systems: readonly SystemName[], open: boolean): string {
  const { question, answers, target, taskId, itemId } = one;
  const firstLine = question.split('\n').find((line) => line.startsWith('Question:')) ?? question;
  const groups = PROMPTS.flatMap(([prompt, title]) => {
    const own = answers.filter((answer) => answer.prompt === prompt);
    return own.length === 0
      ? []
      : [
          `<p class="soft">${title}</p><div class="answers">` +
            own.map((answer) => answerBox(systemLabel(answer), answer.text, verdict(answer))).join('') +
            '</div>',
        ];
  });
  return (
    `<details${open ? ' open' : ''}><summary>${escapeHtml(firstLine.slice(0, 160))} <span class="marks">${marks(answers, systems)}</span></summary>` +
    `<pre class="soft">${escapeHtml(question)}</pre>` +
    `<p>Target: <b>${escapeHtml(target)}</b> <span class="soft">${escapeHtml(`${taskId} ${itemId}`)}</span></p>` +
    `${groups.join('')}</details>`
  );
}

/** Questions by task, each with all answers; nothing where there are none. */
export function samples(all: readonly ReportSample[]): string {
  if (all.length === 0) return '';
  const tasks = [...new Set(all.map(({ taskId }) => taskId))];
  const systems = [...new Set(all.flatMap(({ answers }) => answers.map(({ system }) => system)))];
  const groups = tasks.map((taskId) => {
    const own = all.filter((one) => one.taskId === taskId);
    const shown = own.slice(0, MAX_SAMPLES);
    const more = own.length - shown.length;
    return (
      `<h3>${escapeHtml(taskId)}</h3>` +
      shown.map((one, i) => sample(one, systems, i < OPEN_SAMPLES)).join('\n') +
      (more > 0 ? `<p class="soft">${number(more)} more in report.json.</p>` : '')
    );
  });
  return (
    `<p class="soft">The first questions of each task’s test split, not chosen by their answers; all answers are in predictions.jsonl. Marks in a row: ${systems.map(escapeHtml).join(', ')}.</p>` +
    groups.join('\n')
  );
}
