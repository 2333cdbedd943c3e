// diskImport.svelte.ts: demonstrations from files of the person's own: what was picked, the form it is read in (guessed, then
// corrected), what comes of it, and their way into the experiment. Reading and judging are the session's.
import type { DemonstrationsConfig } from '../../config/experiment';
import { PupilError } from '../../base/errors';
import type { DemonstrationsPreview, PickedContents } from '../../session/protocol';
import { formatCount } from '../format';
import { Latest } from './latest';
import { toNotice, type Notice } from './notice';
import { contentsOf, freeLabel, keepAll, rejectedText, stemOf, withTeacher, type TeacherPlace } from './teacherPlace';

type Format = DemonstrationsConfig['format'];
type Fields = Record<'question' | 'answer' | 'choices' | 'itemId', string>;

const NO_FIELDS: Fields = { question: '', answer: '', choices: '', itemId: '' };

export class DiskImport {
  contents = $state.raw<PickedContents>({});
  /** Empty: the first task that is trained on. */
  taskName = $state('');
  label = $state('');
  family = $state<'in-family' | 'out-family'>('out-family');
  /** Empty: as it is guessed. */
  format = $state<Format | ''>('');
  /** Empty ones: as they are guessed. */
  fields = $state<Fields>({ ...NO_FIELDS });
  /** For rationales alone: the picked file whose rows they belong to. */
  alignedWith = $state('');
  alone = $state(false);
  keepWrong = $state(true);
  preview = $state.raw<DemonstrationsPreview>();
  working = $state(false);
  notice = $state.raw<Notice>();
  /** What has been done, in words. */
  done = $state('');
  private readonly latest = new Latest();

  constructor(private readonly place: TeacherPlace) {}

  readonly tasks = $derived.by(() => this.place.experiments.checked.experiment?.tasks ?? []);
  readonly task = $derived.by(
    () =>
      this.tasks.find(({ name }) => name === this.taskName) ??
      this.tasks.find(({ use }) => use.some((what) => what !== 'evaluate')) ??
      this.tasks[0],
  );
  readonly names = $derived(Object.keys(this.contents));
  /** What stands in the selects: the person's choice, else the guess. */
  readonly shownFormat = $derived.by(() => (this.format === '' ? this.preview?.guess?.format : this.format));
  readonly canUse = $derived.by(() => !this.working && (this.preview?.demonstrations.length ?? 0) > 0);

  async take(files: Iterable<File>): Promise<void> {
    this.notice = undefined;
    this.done = '';
    try {
      const contents = await contentsOf(files);
      const [first] = Object.keys(contents);
      if (first === undefined) return;
      this.contents = contents;
      this.label = stemOf(first);
      this.format = '';
      this.fields = { ...NO_FIELDS };
      this.alignedWith = '';
    } catch (error) {
      this.notice = toNotice(error);
      return;
    }
    await this.refresh();
  }

  /** Reads anew, after any of the choices has changed. */
  async refresh(): Promise<void> {
    if (this.names.length === 0 || this.task === undefined) return;
    this.working = true;
    this.notice = undefined;
    try {
      const prepared = await this.place.prepareData();
      const request = { ...prepared, entry: this.entry(this.names), contents: this.contents };
      const result = await this.latest.run(() => this.place.session.previewDemonstrations(request));
      if (result === undefined) return;
      this.preview = result.value;
      const { fields } = result.value.entry ?? {};
      if (fields !== undefined) this.fields = { ...NO_FIELDS, ...fields };
    } catch (error) {
      this.notice = toNotice(error);
      if (this.preview !== undefined) this.preview = { ...this.preview, demonstrations: [], rejected: [] };
    }
    this.working = false;
  }

  /** Keeps the files and makes them a teacher of the experiment. */
  async use(): Promise<void> {
    const { preview, task } = this;
    if (preview?.entry === undefined || task === undefined || !this.canUse) return;
    this.working = true;
    this.notice = undefined;
    try {
      const paths = await keepAll(this.place.session, this.contents);
      const { experiments } = this.place;
      let label = this.label.trim();
      experiments.change((document) => {
        label = freeLabel(this.alone ? { ...document, demonstrations: [] } : document, task.name, label);
        // Numeric order is that of the names as they were; kept names keep it.
        const entry = this.entry(this.names, (name) => paths[name]!);
        const { format, fields } = preview.entry!;
        return withTeacher(
          document,
          { ...entry, label, format, ...(fields === undefined ? {} : { fields }), keepWrong: this.keepWrong },
          this,
        );
      });
      const count = preview.demonstrations.filter(({ inTraining }) => inTraining).length;
      this.done = `${formatCount(count, 'demonstration')} by ${label}: in the experiment now, for ${task.name}.`;
      this.clear();
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.working = false;
  }

  clear(): void {
    this.latest.cancel();
    this.contents = {};
    this.preview = undefined;
    this.notice = undefined;
    this.working = false;
  }

  saveRejected(): void {
    this.place.save(`${stemOf(this.names[0] ?? 'rows')}-left-out.txt`, rejectedText(this.preview?.rejected ?? []));
  }

  /** The entry of the experiment as it stands here. */
  private entry(names: readonly string[], pathOf: (name: string) => string = (name) => name) {
    const label = this.label.trim();
    if (label === '') throw new PupilError('usage', 'teacher: expected a name for tables, got nothing');
    const { format, fields, alignedWith } = this;
    const told = Object.fromEntries(Object.entries(fields).filter(([, path]) => path !== ''));
    const named = told['question'] !== undefined && told['answer'] !== undefined;
    const aligned = this.shownFormat === 'cot-aligned' && alignedWith !== '';
    return {
      label,
      task: this.task!.name,
      family: this.family,
      files: names.filter((name) => !(aligned && name === alignedWith)).map(pathOf),
      ...(format === '' ? {} : { format }),
      ...(this.shownFormat === 'fields' && named ? { fields: told as { question: string; answer: string } } : {}),
      ...(aligned ? { alignedWith: [pathOf(alignedWith)] } : {}),
    };
  }
}
