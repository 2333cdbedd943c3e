// taskImport.svelte.ts: a task of the person's own from one file or two: the columns (guessed, then corrected), the split, what
// comes of it, and its way into the experiment. Reading and splitting are the session's.
import type { ColumnMapping, TaskConfig } from '../../config/experiment';
import { PupilError } from '../../base/errors';
import type { PickedContents, TaskPreview } from '../../session/protocol';
import { Latest } from './latest';
import { toNotice, type Notice } from './notice';
import { contentsOf, keepAll, rejectedText, stemOf, type TeacherPlace } from './teacherPlace';

/** The share of a single file that trains, where nothing is typed. */
const DEFAULT_SHARE = 0.7;

export class TaskImport {
  /** All of it, or what trains. */
  contents = $state.raw<PickedContents>({});
  /** Of a test set of its own. */
  testContents = $state.raw<PickedContents>({});
  name = $state('');
  mapping = $state<ColumnMapping>();
  order = $state<'shuffled' | 'file'>('shuffled');
  /** Empty: a share of one file, all of a training file. */
  trainCountText = $state('');
  preview = $state.raw<TaskPreview>();
  working = $state(false);
  notice = $state.raw<Notice>();
  done = $state('');
  private readonly latest = new Latest();

  constructor(private readonly place: TeacherPlace) {}

  readonly names = $derived(Object.keys(this.contents));
  readonly testNames = $derived(Object.keys(this.testContents));
  readonly counts = $derived.by(() => {
    const count = { train: 0, test: 0, dropped: 0 };
    for (const { part } of this.preview?.items ?? []) count[part]++;
    return count;
  });
  readonly isMapped = $derived.by(() => (this.mapping?.question ?? '') !== '' && (this.mapping?.target ?? '') !== '');
  readonly canUse = $derived.by(() => !this.working && this.isMapped && this.counts.train + this.counts.test > 0);

  async take(files: Iterable<File>, part: 'all' | 'test'): Promise<void> {
    this.done = '';
    this.notice = undefined;
    try {
      const contents = await contentsOf(files);
      const [first] = Object.keys(contents);
      if (first === undefined) return;
      if (part === 'test') this.testContents = contents;
      else {
        this.contents = contents;
        this.name = stemOf(first);
        this.mapping = undefined;
        this.trainCountText = '';
      }
    } catch (error) {
      this.notice = toNotice(error);
      return;
    }
    await this.refresh();
  }

  async refresh(): Promise<void> {
    if (this.names.length === 0) return;
    this.working = true;
    this.notice = undefined;
    try {
      // Names of both sides in one table: a test file of the same name is another file.
      const contents = { ...this.contents, ...named(this.testContents) };
      const task = this.task(
        (name) => name,
        (name) => TEST + name,
      );
      const result = await this.latest.run(() => this.place.session.previewTask({ task, contents }));
      if (result === undefined) return;
      this.preview = result.value;
      this.mapping = result.value.mapping;
    } catch (error) {
      this.notice = toNotice(error);
      if (this.preview !== undefined) this.preview = { ...this.preview, items: [], rejected: [] };
    }
    this.working = false;
  }

  /** Names another column for something; none of the options: an empty list. */
  async correct(change: { [Key in keyof ColumnMapping]?: ColumnMapping[Key] | undefined }): Promise<void> {
    const { question = '', target = '', ...more } = { ...this.mapping, ...change };
    const rest = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined && value !== ''));
    const mapping = { question, target, ...rest };
    this.mapping = mapping;
    if (this.isMapped) await this.refresh();
  }

  /** Columns of the options in the order of the file: one is a list of them, several are one each. */
  async setChoices(columns: readonly string[]): Promise<void> {
    const inOrder = (this.preview?.columns ?? []).filter((name) => columns.includes(name));
    await this.correct({ choices: inOrder.length > 1 ? inOrder : inOrder[0] });
  }

  async use(): Promise<void> {
    if (!this.canUse) return;
    this.working = true;
    this.notice = undefined;
    try {
      const paths = await keepAll(this.place.session, this.contents);
      const testPaths = await keepAll(this.place.session, this.testContents);
      const { mapping, ...task } = this.task(
        (name) => paths[name]!,
        (name) => testPaths[name]!,
      );
      this.place.experiments.change((document) => ({
        ...document,
        tasks: [
          ...document.tasks,
          {
            id: 'custom',
            ...task,
            ...(mapping === undefined ? {} : { mapping }),
            use: ['evaluate'], // trained on once it has a teacher
          },
        ],
      }));
      this.done = `${task.name} is a task of the experiment now, for evaluation. With demonstrations for it, it is trained on too.`;
      this.clear();
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.working = false;
  }

  clear(): void {
    this.latest.cancel();
    this.contents = {};
    this.testContents = {};
    this.mapping = undefined;
    this.preview = undefined;
    this.notice = undefined;
    this.working = false;
  }

  saveRejected(): void {
    this.place.save(`${stemOf(this.names[0] ?? 'rows')}-left-out.txt`, rejectedText(this.preview?.rejected ?? []));
  }

  /** The task of the experiment as it stands here. */
  private task(
    pathOf: (name: string) => string,
    testPathOf: (name: string) => string,
  ): Pick<TaskConfig, 'name' | 'files' | 'split'> & Pick<Partial<TaskConfig>, 'mapping'> {
    const name = this.name.trim();
    if (name === '') throw new PupilError('usage', 'task: expected a name, got nothing');
    const text = this.trainCountText.trim();
    if (text !== '' && !/^\d+$/.test(text)) {
      throw new PupilError('usage', `task: expected a whole number of training items, got ${JSON.stringify(text)}`);
    }
    const two = this.testNames.length > 0;
    const size = text === '' ? (two ? {} : { trainFraction: DEFAULT_SHARE }) : { trainCount: Number(text) };
    const mapping = $state.snapshot(this.mapping);
    return {
      name,
      files: two
        ? { train: this.names.map(pathOf), test: this.testNames.map(testPathOf) }
        : { all: this.names.map(pathOf) },
      split: { order: this.order, seed: 0, balanceTargets: false, ...size },
      ...(mapping === undefined ? {} : { mapping }),
    };
  }
}

const TEST = 'test/';

const named = (contents: PickedContents): PickedContents =>
  Object.fromEntries(Object.entries(contents).map(([name, bytes]) => [TEST + name, bytes]));
