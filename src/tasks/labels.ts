// labels.ts: answers that a benchmark keeps in a file of their own beside its rows, a line each (PIQA, SIQA). In an
// experiment they are simply named among the files: a `.lst` file is the labels of the rows whose name it has.
import { PupilError } from '../base/errors';
import type { SourceText } from '../formats/rows';
import { readRows } from '../formats/rows';
import { fileStem } from './fields';

const isLabels = ({ path }: SourceText): boolean => path.endsWith('.lst');

const folder = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);

/** Files of rows, and for each place in them its label, where a label file belongs to that file. */
export interface Labelled {
  rows: SourceText[];
  labelOf(place: { path: string; line: number }): string | undefined;
}

/**
 * Gives each label file to its rows: `dev-labels.lst` to `dev.jsonl` (or `dev.json`) of the same folder; where there is one
 * file of each only, to that. Labels count rows, bad ones included, so that a damaged line shifts nothing.
 * @throws PupilError `data` for labels without rows, or of another number than there are rows.
 */
export function pairLabels(title: string, sources: readonly SourceText[]): Labelled {
  const rows = sources.filter((source) => !isLabels(source));
  const lists = sources.filter(isLabels);
  const labels = new Map<string, Map<number, string>>();
  for (const list of lists) {
    const name = folder(list.path) + fileStem(list.path).replace(/[-_.]labels?$/, '');
    const own =
      rows.find(({ path }) => folder(path) + fileStem(path) === name) ??
      (rows.length === 1 && lists.length === 1 ? rows[0] : undefined);
    if (own === undefined) {
      throw new PupilError(
        'data',
        `${title}: expected the rows that ${list.path} belongs to (${name}.jsonl) among the files, got ${rows.map(({ path }) => path).join(', ') || 'none'}`,
        'A .lst file holds the labels of the file with the same name: name both.',
      );
    }
    const values = list.text.split('\n').map((line) => line.trim());
    while (values.at(-1) === '') values.pop();
    const read = readRows(own);
    const lines = [...read.rows, ...read.rejected].map(({ line }) => line).sort((a, b) => a - b);
    if (lines.length !== values.length) {
      throw new PupilError(
        'data',
        `${title}: expected as many labels in ${list.path} as rows in ${own.path}, ${lines.length}, got ${values.length}`,
        'The two files belong to different sets, or one is cut off.',
      );
    }
    labels.set(own.path, new Map(lines.map((line, i) => [line, values[i]!])));
  }
  return { rows, labelOf: ({ path, line }) => labels.get(path)?.get(line) };
}
