// parquet.ts: parquet files as the rest of Pupil takes them: as JSON lines, one row a line, so that loaders and teachers need
// to know nothing of them. The reader (parquetRead.ts) and its library are fetched when the first such file is met.
import { PupilError } from '../base/errors';

/**
 * A file's rows as the text of JSON lines: row n is line n, so that messages about a line point at the row.
 * @throws PupilError `format` for files that cannot be read (see readParquet) or have no rows.
 */
export async function parquetToJsonLines(bytes: Uint8Array, name: string): Promise<string> {
  const { readParquet } = await import('./parquetRead');
  const rows = await readParquet(bytes, name);
  if (rows.length === 0) {
    throw new PupilError(
      'format',
      `${name}: expected rows, the parquet file has none`,
      'Check which part of the data set it is.',
    );
  }
  // A single object might be taken for one that holds the rows in a list: an array cannot.
  if (rows.length === 1) return JSON.stringify(rows);
  try {
    return rows.map((row) => JSON.stringify(row)).join('\n');
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new PupilError('format', `${name}: expected rows that fit one text, they are longer`, 'Take fewer rows.', {
      cause,
    });
  }
}
