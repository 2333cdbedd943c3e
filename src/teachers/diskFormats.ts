// diskFormats.ts: the forms in which demonstrations are found on disk, each read into question and answer. Which item a
// question belongs to, and whether the answer is right, is decided in disk.ts.
import type { DemonstrationsConfig } from '../config/experiment';
import type { RejectedRow, SourceText } from '../formats/rows';
import { findAligned } from './diskAligned';
import { findInLogs } from './diskLog';
import { exchange, turnsOf } from './diskMessages';
import { expectText, pickRationale, RowProblem, rowsOf, textOf, textOr, valueAt } from './diskRow';
import type { FoundDemonstration, FoundDemonstrations, Row } from './diskRow';

type Format = DemonstrationsConfig['format'];

/** LLM-Adapters' answers begin with "\nA: ", the tail of the prompt they were made with. */
const withoutAnswerMark = (answer: string): string => answer.replace(/^\s*A:\s*/, '');

/** What a prompt asks: its last "Question: …" or "Q: …" line, beside the prompt itself. */
function questionsOf(prompt: string): string[] {
  const lines = [...prompt.matchAll(/^\s*(?:Question|Q)\s*:\s*(.+)$/gm)];
  const last = lines.at(-1)?.[1];
  return last === undefined ? [prompt] : [prompt, last];
}

/** A prompt or a completion that is a text, or TRL's conversational form of it. */
function saidIn(row: Row, key: string, role: 'user' | 'assistant'): string {
  const value = row[key];
  if (!Array.isArray(value)) return textOf(row, key);
  const said = turnsOf(value, key).findLast((turn) => turn.role === role);
  if (said === undefined) throw new RowProblem(`expected a message of the ${role} in ${key}`);
  return said.text;
}

/** Where a file's own names are given. */
function readFields(row: Row, fields: NonNullable<DemonstrationsConfig['fields']>): Found {
  const at = (path: string): string => expectText(valueAt(row, path), path);
  const choices = fields.choices === undefined ? undefined : valueAt(row, fields.choices);
  if (
    fields.choices !== undefined &&
    !(Array.isArray(choices) && choices.every((choice) => typeof choice === 'string'))
  ) {
    throw new RowProblem(`expected a list of texts in ${fields.choices}`);
  }
  const itemId = fields.itemId === undefined ? undefined : valueAt(row, fields.itemId);
  return {
    ...(itemId === undefined || itemId === null ? {} : { itemId: String(itemId as string | number) }),
    questions: questionsOf(at(fields.question)),
    ...(choices === undefined ? {} : { choices: choices as string[] }),
    answer: at(fields.answer),
  };
}

type Found = Omit<FoundDemonstration, 'path' | 'line'>;

/** A form in which each row is read by itself. */
type RowFormat = Exclude<Format, 'cot-aligned' | 'zero-shot-cot-log' | 'fields'>;

const asked = ({ questions, answer }: Found): Found => ({ questions: questionsOf(questions[0]!), answer });

const READERS: Record<RowFormat, (row: Row) => Found> = {
  'llm-adapters': (row) => ({
    questions: [textOf(row, 'question')],
    answer: withoutAnswerMark(textOf(row, 'chain-of-thought')),
  }),
  alpaca: (row) => {
    const instruction = textOf(row, 'instruction');
    const input = textOr(row, 'input', '');
    const whole = input === '' ? instruction : `${instruction}\n${input}`;
    return {
      questions: [...questionsOf(whole), ...(input === '' ? [] : [input]), instruction],
      answer: withoutAnswerMark(textOf(row, 'output')),
    };
  },
  'prompt-completion': (row) => ({
    questions: questionsOf(saidIn(row, 'prompt', 'user')),
    answer: saidIn(row, 'completion', 'assistant'),
  }),
  chat: (row) => asked(exchange(turnsOf(row['messages'], 'messages'), 'messages')),
  sharegpt: (row) => asked(exchange(turnsOf(row['conversations'], 'conversations'), 'conversations')),
  lesson: (row) => ({ questions: [textOf(row, 'plain_prompt')], answer: textOf(row, 'teacher_answer') }),
  jsonl: (row) => ({
    itemId: textOf(row, 'itemId'),
    questions: questionsOf(`${textOf(row, 'instruction')}\n${textOf(row, 'question')}`),
    answer: textOf(row, 'answer'),
  }),
};

/**
 * Reads files of one form. Rows that cannot be used are reported with number and reason.
 * @throws PupilError `format` for a file that is no rows at all, `data` for rationales that do not align.
 */
export function findDemonstrations(
  config: Pick<DemonstrationsConfig, 'format' | 'fields' | 'rationaleMarker' | 'rationaleIndex'>,
  files: readonly SourceText[],
  alignedWith: readonly SourceText[],
): FoundDemonstrations {
  const { format, fields } = config;
  if (format === 'cot-aligned') return findAligned(config, files, alignedWith);
  if (format === 'zero-shot-cot-log') return findInLogs(files);
  const read = format === 'fields' ? (row: Row) => readFields(row, fields!) : READERS[format];
  const found: FoundDemonstration[] = [];
  const rejected: RejectedRow[] = [];
  for (const file of files) {
    const rows = rowsOf(file);
    rejected.push(...rows.rejected);
    for (const { value, path, line } of rows.rows) {
      try {
        if (typeof value !== 'object' || value === null || Array.isArray(value)) {
          throw new RowProblem('expected an object');
        }
        const demonstration = read(value as Row);
        const answer = pickRationale(demonstration.answer, config);
        found.push({ ...demonstration, answer, path, line });
      } catch (error) {
        if (!(error instanceof RowProblem)) throw error;
        rejected.push({ path, line, reason: error.message });
      }
    }
  }
  return { found, rejected };
}

/** File names in numeric order: shard_2 before shard_10. */
export function numericOrder(paths: readonly string[]): string[] {
  const collator = new Intl.Collator('en', { numeric: true });
  return paths.slice().sort((a, b) => collator.compare(a, b));
}
