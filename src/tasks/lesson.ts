// lesson.ts: the bundled lesson's tasks A to D in the prototype's JSON lines: plain_prompt, cot_prompt, target. A and B
// are arithmetic stories, C and D have options; the prompt tells which. The rows' prompts end in a line break, which is
// the run's prompt suffix and not part of the item.
import { extractChoice, LETTERS } from './extract/choice';
import { extractNumber, numberText } from './extract/number';
import { choicePrompt, COT_TRIGGER, loadItems, numberPrompt, requiredText, RowProblem } from './task';
import type { Task, TaskItem } from './task';

const plainPrompt = (item: TaskItem): string => (item.choices === undefined ? numberPrompt(item) : choicePrompt(item));

/** Question and options of a prompt of Table 2, or undefined where the text has another form. */
function parsePrompt(prompt: string): { question: string; choices?: string[] } | undefined {
  const lines = prompt.trimEnd().split('\n');
  if (!lines[1]?.startsWith('Question: ') || lines.at(-1) !== 'Answer:') return undefined;
  const question = lines[1].slice('Question: '.length);
  if (lines.length === 3) return { question };
  if (lines[2] !== 'Choices:') return undefined;
  return { question, choices: lines.slice(3, -1).map((line) => line.replace(/^[A-Z]\) /, '')) };
}

function readRow(row: Record<string, unknown>, place: { path: string; line: number }): TaskItem {
  const prompt = requiredText(row, 'plain_prompt');
  const parsed = parsePrompt(prompt);
  if (parsed === undefined) throw new RowProblem('expected a prompt of Table 2 in plain_prompt');
  const target = requiredText(row, 'target');
  const id = `${place.path
    .split('/')
    .at(-1)!
    .replace(/\.jsonl?$/, '')}-${place.line}`;
  let item: TaskItem;
  if (parsed.choices === undefined) {
    if (!/^-?\d+(\.\d+)?$/.test(target)) throw new RowProblem(`expected a number in target, got "${target}"`);
    item = { id, question: parsed.question, target: numberText(Number(target)) };
  } else {
    const letter = target[0]!;
    const index = LETTERS.indexOf(letter);
    if (target !== `${letter}) ${parsed.choices[index]}`) {
      throw new RowProblem(`expected one of the options in target, got "${target}"`);
    }
    item = { id, question: parsed.question, choices: parsed.choices, target: letter };
  }
  if (plainPrompt(item) !== prompt) throw new RowProblem('expected a prompt of Table 2 in plain_prompt, word for word');
  return item;
}

export const lesson: Task = {
  id: 'lesson',
  title: 'Lesson',
  kind: 'mixed',
  load: (sources) => loadItems('Lesson', sources, readRow),
  plainPrompt,
  cotPrompt: (item) => `${plainPrompt(item)} ${COT_TRIGGER}`,
  extract: (text, { choices }) =>
    choices === undefined ? extractNumber(text) : extractChoice(text, choices, choices.length),
};
