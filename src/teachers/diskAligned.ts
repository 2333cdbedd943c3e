// diskAligned.ts: rationales that belong to the rows of another file by their index alone (Distilling step-by-step, TinyLLM).
// One gap would give every later rationale to the wrong question, so that here a fault stops everything.
import { PupilError } from '../base/errors';
import type { DemonstrationsConfig } from '../config/experiment';
import type { RejectedRow, SourceText } from '../formats/rows';
import { readRows } from '../formats/rows';
import { pickRationale, RowProblem, textOf } from './diskRow';
import type { FoundDemonstration, FoundDemonstrations, Row } from './diskRow';

/**
 * Rationale strings that belong to rows by index. Everything that would shift the index is an error, since every later
 * rationale would be given to the wrong question: a missing shard, a bad row, more rationales than rows.
 */
export function findAligned(
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
        questions: [textOf(row, 'question')],
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
