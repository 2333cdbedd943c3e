// disk.ts: the teacher whose answers lie on disk already. It reads them, gives each to its task item by the question's
// text, and says how often the teacher was right. How bytes are fetched is the caller's business.
import { PupilError } from '../base/errors';
import type { DemonstrationsConfig } from '../config/experiment';
import type { RejectedRow, SourceText } from '../formats/rows';
import type { Demonstration, TeacherItem, TeacherTask } from './demonstration';
import { makeDemonstration, teacherWasRight } from './demonstration';
import { findDemonstrations, numericOrder } from './diskFormats';
import type { FoundDemonstration } from './diskRow';

export interface LoadedDemonstrations {
  demonstrations: Demonstration[];
  /** Rows that could not be used, each with file, line and reason. */
  rejected: RejectedRow[];
  /** Those of them that are damaged; the others are of items that the task does not have. */
  malformed: RejectedRow[];
  /** Ids in `exclude` and `edits` that no demonstration has. */
  unknownIds: string[];
  /** How many of the teacher's own answers give the target. */
  correct: number;
  /** correct / demonstrations: the teacher's own accuracy (Table 5). */
  accuracy: number;
}

/** White space, case and Unicode form do not tell two questions apart. */
function plain(text: string): string {
  return text.normalize('NFKC').toLowerCase().split(/\s+/).filter(Boolean).join(' ');
}

/** Finds the item of a demonstration: by its id, its question with the choices, its prompt, or its question alone. */
class ItemFinder {
  private readonly byId: ReadonlyMap<string, TeacherItem>;
  private byText: Map<string, TeacherItem[]> | undefined;
  private readonly used = new Map<string, number>();

  constructor(private readonly task: TeacherTask) {
    this.byId = new Map(task.items.map((item) => [item.id, item]));
  }

  /** Items by all that a file may call them; made when the first row does not name its item. */
  private texts(): ReadonlyMap<string, TeacherItem[]> {
    if (this.byText !== undefined) return this.byText;
    const { task } = this;
    const byText = new Map<string, TeacherItem[]>();
    for (const item of task.items) {
      const texts = [item.question, task.plainPrompt(item), task.cotPrompt(item)];
      if (item.choices !== undefined) texts.push([item.question, ...item.choices].join('\n'));
      for (const key of new Set(texts.map(plain))) {
        const items = byText.get(key);
        if (items === undefined) byText.set(key, [item]);
        else items.push(item);
      }
    }
    return (this.byText = byText);
  }

  /** A question that several items have (MultiArith repeats 20) goes to each of them in turn. */
  find(found: FoundDemonstration): TeacherItem | undefined {
    const own = found.itemId === undefined ? undefined : this.byId.get(found.itemId);
    if (own !== undefined) return own;
    const texts = found.questions.slice();
    if (found.choices !== undefined) texts.unshift([found.questions[0], ...found.choices].join('\n'));
    for (const text of texts) {
      const key = plain(text);
      const items = this.texts().get(key);
      if (items === undefined) continue;
      const count = this.used.get(key) ?? 0;
      this.used.set(key, count + 1);
      return items[count % items.length];
    }
    return undefined;
  }
}

/** The text before the first of `stops`, without surrounding white space. */
function cut(answer: string, stops: readonly string[]): string {
  const ends = stops.map((stop) => answer.indexOf(stop)).filter((at) => at >= 0);
  return answer.slice(0, Math.min(answer.length, ...ends)).trim();
}

/**
 * All demonstrations of one teacher for one task, edits in place; perhaps none, for a preview. Files are read in numeric
 * order.
 *
 * @param readText fetches a file's text; paths are those of the configuration, already made concrete.
 * @throws PupilError `format` or `data` for files that cannot be used at all.
 */
export async function readDemonstrations(
  config: DemonstrationsConfig,
  task: TeacherTask,
  readText: (path: string) => Promise<string>,
): Promise<LoadedDemonstrations> {
  const read = (paths: readonly string[]): Promise<SourceText[]> =>
    Promise.all(numericOrder(paths).map(async (path) => ({ path, text: await readText(path) })));
  const { found, rejected } = findDemonstrations(
    config,
    await read(config.files),
    await read(config.alignedWith ?? []),
  );

  const finder = new ItemFinder(task);
  const demonstrations: Demonstration[] = [];
  const teacher = { teacher: config.label, family: config.family };
  const edits = new Map(config.edits?.map(({ id, answer }) => [id, answer]));
  const counts = new Map<string, number>();
  const malformed = rejected.slice();
  for (const one of found) {
    const reject = (reason: string): RejectedRow => {
      const row = { path: one.path, line: one.line, reason };
      rejected.push(row);
      return row;
    };
    const item = finder.find(one);
    if (item === undefined) {
      reject(`no item of ${task.id} has this question: ${JSON.stringify(one.questions[0]!.slice(0, 80))}`);
      continue;
    }
    const answer = cut(one.answer, config.truncateAt);
    if (answer === '') {
      malformed.push(reject('the answer is empty'));
      continue;
    }
    const nth = counts.get(item.id) ?? 0;
    counts.set(item.id, nth + 1);
    const id = `${config.label}/${item.id}${nth === 0 ? '' : `/${nth}`}`;
    const demonstration = makeDemonstration(task, item, answer, teacher, id);
    const edited = edits.get(id);
    demonstrations.push(
      edited === undefined
        ? demonstration
        : {
            ...makeDemonstration(task, item, edited, teacher, id),
            original: { answer, correct: demonstration.correct },
          },
    );
  }
  for (const rows of [rejected, malformed]) rows.sort((a, b) => (a.path === b.path ? a.line - b.line : 0));
  const correct = demonstrations.filter(teacherWasRight).length;
  const ids = new Set(demonstrations.map(({ id }) => id));
  const unknownIds = [...(config.exclude ?? []), ...edits.keys()].filter((id) => !ids.has(id));
  return { demonstrations, rejected, malformed, unknownIds, correct, accuracy: correct / demonstrations.length };
}

/**
 * As {@link readDemonstrations}, for a run.
 * @throws PupilError `data` as well where no demonstration fits the task.
 */
export async function loadDemonstrations(
  config: DemonstrationsConfig,
  task: TeacherTask,
  readText: (path: string) => Promise<string>,
): Promise<LoadedDemonstrations> {
  const loaded = await readDemonstrations(config, task, readText);
  if (loaded.demonstrations.length > 0) return loaded;
  const first = loaded.rejected[0];
  throw new PupilError(
    'data',
    `loadDemonstrations: expected demonstrations of ${task.id} in ${config.files.join(', ')}, got none that fit` +
      (first === undefined ? '' : ` (${first.path}:${first.line}: ${first.reason})`),
    'Check `format` and that these files belong to this task.',
  );
}
