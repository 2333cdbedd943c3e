// diskFormats.ts: the forms in which demonstrations are found on disk, each read into question and answer. Which item a
// question belongs to, and whether the answer is right, is decided in disk.ts.
import { PupilError } from '../base/errors';
import type { DemonstrationsConfig } from '../config/experiment';
import type { RejectedRow, SourceText } from '../formats/rows';
import { readRows } from '../formats/rows';

/** A demonstration as found: texts that may identify its item, and the teacher's answer as it stands. */
export interface FoundDemonstration {
  path: string;
  line: number;
  /** The item's own id, where the file has one. */
  itemId?: string;
  /** Questions or whole prompts, most telling first. */
  questions: string[];
  choices?: string[];
  answer: string;
}

export interface FoundDemonstrations {
  found: FoundDemonstration[];
  rejected: RejectedRow[];
}

type Row = Record<string, unknown>;
type Format = DemonstrationsConfig['format'];

class RowProblem extends Error {}

function text(row: Row, key: string): string {
  const value = row[key];
  if (typeof value === 'string') return value;
  throw new RowProblem(`expected a text in ${key}, got ${JSON.stringify(value) ?? 'nothing'}`);
}

const textOr = (row: Row, key: string, otherwise: string): string =>
  row[key] === undefined || row[key] === null ? otherwise : text(row, key);

/** LLM-Adapters' answers begin with "\nA: ", the tail of the prompt they were made with. */
const withoutAnswerMark = (answer: string): string => answer.replace(/^\s*A:\s*/, '');

/** What a prompt asks: its last "Question: …" or "Q: …" line, beside the prompt itself. */
function questionsOf(prompt: string): string[] {
  const lines = [...prompt.matchAll(/^\s*(?:Question|Q)\s*:\s*(.+)$/gm)];
  const last = lines.at(-1)?.[1];
  return last === undefined ? [prompt] : [prompt, last];
}

const READERS: Record<Exclude<Format, 'cot-aligned'>, (row: Row) => Omit<FoundDemonstration, 'path' | 'line'>> = {
  'llm-adapters': (row) => ({
    questions: [text(row, 'question')],
    answer: withoutAnswerMark(text(row, 'chain-of-thought')),
  }),
  alpaca: (row) => {
    const instruction = text(row, 'instruction');
    const input = textOr(row, 'input', '');
    const whole = input === '' ? instruction : `${instruction}\n${input}`;
    return {
      questions: [...questionsOf(whole), ...(input === '' ? [] : [input]), instruction],
      answer: withoutAnswerMark(text(row, 'output')),
    };
  },
  'prompt-completion': (row) => ({ questions: questionsOf(text(row, 'prompt')), answer: text(row, 'completion') }),
  lesson: (row) => ({ questions: [text(row, 'plain_prompt')], answer: text(row, 'teacher_answer') }),
  jsonl: (row) => ({
    itemId: text(row, 'itemId'),
    questions: questionsOf(`${text(row, 'instruction')}\n${text(row, 'question')}`),
    answer: text(row, 'answer'),
  }),
};

/**
 * Reads files of one form. Rows that cannot be used are reported with number and reason.
 * @throws PupilError `format` for a file that is no rows at all, `data` for rationales that do not align.
 */
export function findDemonstrations(
  config: Pick<DemonstrationsConfig, 'format' | 'rationaleMarker' | 'rationaleIndex'>,
  files: readonly SourceText[],
  alignedWith: readonly SourceText[],
): FoundDemonstrations {
  if (config.format === 'cot-aligned') return findAligned(config, files, alignedWith);
  const read = READERS[config.format];
  const found: FoundDemonstration[] = [];
  const rejected: RejectedRow[] = [];
  for (const file of files) {
    const rows = readRows(file);
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

/** One of several rationales in a text, parted by the marker. Without a marker the whole text. */
function pickRationale(
  answer: string,
  config: Pick<DemonstrationsConfig, 'rationaleMarker' | 'rationaleIndex'>,
): string {
  if (config.rationaleMarker === undefined) return answer;
  const parts = answer.split(config.rationaleMarker);
  const part = parts[config.rationaleIndex];
  if (part === undefined) {
    throw new RowProblem(`expected a rationale number ${config.rationaleIndex}, got ${parts.length} of them`);
  }
  return part;
}

/** File names in numeric order: shard_2 before shard_10. */
export function numericOrder(paths: readonly string[]): string[] {
  const collator = new Intl.Collator('en', { numeric: true });
  return paths.slice().sort((a, b) => collator.compare(a, b));
}

/**
 * Rationale strings that belong to rows by index. Everything that would shift the index is an error, since every later
 * rationale would be given to the wrong question: a missing shard, a bad row, more rationales than rows.
 */
function findAligned(
  config: Pick<DemonstrationsConfig, 'rationaleMarker' | 'rationaleIndex'>,
  shards: readonly SourceText[],
  alignedWith: readonly SourceText[],
): FoundDemonstrations {
  const numbers = shards.map((shard) => /(\d+)\.[^./]*$/.exec(shard.path)?.[1]);
  numbers.forEach((number, i) => {
    if (number !== undefined && shards.length > 1 && Number(number) !== i) {
      throw new PupilError(
        'data',
        `cot-aligned: expected shard ${i} at this place, got ${shards[i]!.path}`,
        'Give all shards from the first on, without a gap.',
      );
    }
  });
  const strict = (files: readonly SourceText[]) =>
    files.flatMap((file) => {
      const { rows, rejected } = readRows(file);
      const first = rejected[0];
      if (first !== undefined) {
        throw new PupilError(
          'data',
          `cot-aligned: ${first.path}:${first.line}: ${first.reason}; every row is needed to keep the alignment`,
          'Fetch the file again.',
        );
      }
      return rows;
    });
  const rows = strict(alignedWith);
  const rationales = strict(shards);
  if (rationales.length > rows.length) {
    throw new PupilError(
      'data',
      `cot-aligned: expected at most ${rows.length} rationales, one for each row, got ${rationales.length}`,
      'Check that `files` and `alignedWith` are of the same split.',
    );
  }

  const found: FoundDemonstration[] = [];
  const rejected: RejectedRow[] = [];
  rationales.forEach(({ value, path, line }, i) => {
    try {
      if (typeof value !== 'string') throw new RowProblem(`expected a text, got ${JSON.stringify(value)}`);
      const row = rows[i]!.value as Row;
      if (typeof row !== 'object' || row === null) throw new RowProblem('the row it belongs to is no object');
      const choices = row['choices'];
      found.push({
        path,
        line,
        ...(typeof row['id'] === 'string' ? { itemId: row['id'] } : {}),
        questions: [text(row, 'question')],
        ...(Array.isArray(choices) ? { choices: choices.map(String) } : {}),
        answer: pickRationale(value, config),
      });
    } catch (error) {
      if (!(error instanceof RowProblem)) throw error;
      rejected.push({ path, line, reason: error.message });
    }
  });
  return { found, rejected };
}
