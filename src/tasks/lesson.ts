// lesson.ts: the tasks of the bundled lesson, read from JSON lines: plain_prompt, cot_prompt, target, and id and content where
// they are there. Numbers or options: the prompt tells which. The rows' prompts end in a line break, which is the run's prompt suffix
// and not part of the item. `lesson` reads rows of any family, the prototype's among them; the other four are the families
// that lesson/ generates, each by its name.
import { LETTERS } from './extract/choice';
import { numberText } from './extract/number';
import { loadItems, mixedTask, requiredText, RowProblem, taskOfKind } from './task';
import type { Task, TaskItem } from './task';

/** Numbers or options; the lesson has no other kind. */
const eitherKind = mixedTask();
const { plainPrompt, cotPrompt } = eitherKind;

/** Question and options of a prompt of Table 2, or undefined where the text has another form. */
function parsePrompt(prompt: string): { question: string; choices?: string[] } | undefined {
  const lines = prompt.trimEnd().split('\n');
  if (!lines[1]?.startsWith('Question: ') || lines.at(-1) !== 'Answer:') return undefined;
  const question = lines[1].slice('Question: '.length);
  if (lines.length === 3) return { question };
  if (lines[2] !== 'Choices:') return undefined;
  return { question, choices: lines.slice(3, -1).map((line) => line.replace(/^[A-Z]\) /, '')) };
}

/** The row's own id, or its place. */
function rowId(row: Record<string, unknown>, place: { path: string; line: number }): string {
  if (typeof row['id'] === 'string' && row['id'] !== '') return row['id'];
  const name = place.path.split('/').at(-1)!;
  return `${name.replace(/\.jsonl?$/, '')}-${place.line}`;
}

function readRow(row: Record<string, unknown>, place: { path: string; line: number }): TaskItem {
  const prompt = requiredText(row, 'plain_prompt');
  const parsed = parsePrompt(prompt);
  if (parsed === undefined) throw new RowProblem('expected a prompt of Table 2 in plain_prompt');
  const target = requiredText(row, 'target');
  const id = rowId(row, place);
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
  if (typeof row['content'] === 'string') item.content = row['content'];
  if (plainPrompt(item) !== prompt) throw new RowProblem('expected a prompt of Table 2 in plain_prompt, word for word');
  return item;
}

/** An item as a row that {@link readRow} reads, for the files of generated items. */
export function lessonRow(item: TaskItem): Record<'id' | 'plain_prompt' | 'cot_prompt' | 'target', string> & {
  content?: string;
} {
  const target =
    item.choices === undefined ? item.target : `${item.target}) ${item.choices[LETTERS.indexOf(item.target)]}`;
  return {
    id: item.id,
    plain_prompt: `${plainPrompt(item)}\n`,
    cot_prompt: `${cotPrompt(item)}\n`,
    target,
    ...(item.content === undefined ? {} : { content: item.content }),
  };
}

export const lesson: Task = {
  id: 'lesson',
  title: 'Lesson',
  ...eitherKind,
  load: (sources) => loadItems('Lesson', sources, readRow),
};

/** One family: the same rows, of one kind of answer. */
function family(id: Task['id'], title: string, kind: 'choice' | 'number'): Task {
  return {
    id,
    title,
    ...taskOfKind(kind),
    load: (sources) =>
      loadItems(title, sources, (row, place) => {
        const item = readRow(row, place);
        if ((item.choices === undefined) === (kind === 'number')) return item;
        throw new RowProblem(
          kind === 'number' ? 'expected a question without options' : 'expected a question with options',
        );
      }),
  };
}

export const lessonStories = family('lesson-stories', 'Lesson A: stories', 'number');
export const lessonSums = family('lesson-sums', 'Lesson B: one step', 'number');
export const lessonKinds = family('lesson-kinds', 'Lesson C: kinds', 'choice');
export const lessonTools = family('lesson-tools', 'Lesson D: tools', 'choice');
