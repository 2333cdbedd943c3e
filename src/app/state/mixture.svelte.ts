// mixture.svelte.ts: the teachers of the chosen experiment, each with what a run would read of it, and the work by hand on
// single demonstrations: leaving out, editing. All of that is in the experiment itself; here is only what is looked at.
import { slug } from '../../base/slug';
import type { DemonstrationsPreview, PreviewedDemonstration } from '../../session/protocol';
import { Latest } from './latest';
import { toNotice, type Notice } from './notice';
import { rejectedText, type DemonstrationsInput, type TeacherPlace } from './teacherPlace';

export interface MixedTeacher {
  preview?: DemonstrationsPreview;
  problem?: Notice;
}

export type Shown = 'all' | 'right' | 'wrong' | 'by hand';

export class Mixture {
  /** By the place of the entry in the experiment. */
  teachers = $state.raw<readonly MixedTeacher[]>([]);
  working = $state(false);
  notice = $state.raw<Notice>();
  /** The entry whose demonstrations are listed. */
  listed = $state<number>();
  search = $state('');
  shown = $state<Shown>('all');
  /** The demonstration that is being edited, and its text. */
  editing = $state<string>();
  draft = $state('');
  private readonly latest = new Latest();
  private readBy: unknown;

  constructor(private readonly place: TeacherPlace) {}

  readonly entries = $derived.by(() => this.place.experiments.steady?.demonstrations ?? []);
  /** What the teachers are read by: they are read anew when it changes. */
  readonly readKey = $derived.by(() => {
    const { steady, selectedId } = this.place.experiments;
    return JSON.stringify([selectedId, steady?.demonstrations, steady?.tasks, steady?.seed]);
  });
  readonly listedEntry = $derived.by(() => (this.listed === undefined ? undefined : this.entries[this.listed]));
  readonly excluded = $derived.by(() => new Set(this.listedEntry?.exclude));
  readonly rows = $derived.by(() => {
    const all = this.listed === undefined ? [] : (this.teachers[this.listed]?.preview?.demonstrations ?? []);
    const words = this.search.toLowerCase().split(/\s+/).filter(Boolean);
    const { shown, excluded } = this;
    return all.filter((one) => {
      if (shown === 'right' && !one.correct) return false;
      if (shown === 'wrong' && one.correct) return false;
      if (shown === 'by hand' && one.original === undefined && !excluded.has(one.id)) return false;
      if (words.length === 0) return true;
      const text = `${one.id} ${one.question} ${one.answer} ${one.target}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  });

  /** Reads all teachers anew, or the one that was changed; what is there stays in sight meanwhile. */
  async refresh(only?: number): Promise<void> {
    if (this.place.experiments.checked.experiment === undefined) return;
    this.readBy = this.placeRead();
    this.working = true;
    try {
      const result = await this.latest.run(async () => {
        const prepared = await this.place.prepareData();
        const found: MixedTeacher[] = [];
        for (const [i, entry] of prepared.experiment.demonstrations.entries()) {
          const known = this.teachers[i];
          if (only !== undefined && i !== only && known !== undefined) {
            found.push(known);
            continue;
          }
          try {
            found.push({ preview: await this.place.session.previewDemonstrations({ ...prepared, entry }) });
          } catch (error) {
            found.push({ problem: toNotice(error) });
          }
        }
        return found;
      });
      if (result === undefined) return;
      this.teachers = result.value;
      this.notice = undefined;
    } catch (error) {
      this.teachers = [];
      this.notice = toNotice(error);
    }
    this.working = false;
  }

  /** The same, where anything has changed since they were read. */
  async refreshChanged(): Promise<void> {
    if (JSON.stringify(this.readBy) !== JSON.stringify(this.placeRead())) await this.refresh();
  }

  private placeRead(): unknown {
    const { picked, dataAddress } = this.place.experiments;
    return [this.readKey, picked.map(({ path }) => path), dataAddress];
  }

  list(index: number): void {
    this.listed = this.listed === index ? undefined : index;
    this.search = '';
    this.shown = 'all';
    this.editing = undefined;
  }

  /** Leaves a demonstration out, or takes it back in. */
  async toggle({ id }: PreviewedDemonstration): Promise<void> {
    if (this.listed === undefined) return;
    await this.changeEntry(this.listed, ({ exclude = [], ...entry }) =>
      withList(entry, 'exclude', exclude.includes(id) ? exclude.filter((one) => one !== id) : [...exclude, id]),
    );
  }

  edit({ id, answer }: PreviewedDemonstration): void {
    this.editing = id;
    this.draft = answer;
  }

  /** The draft in place of the teacher's answer; as the teacher wrote it: no edit. */
  async saveEdit({ id, answer, original }: PreviewedDemonstration): Promise<void> {
    const text = this.draft.trim();
    this.editing = undefined;
    if (text === '' || this.listed === undefined) return;
    const own = original?.answer ?? answer;
    await this.changeEntry(this.listed, ({ edits = [], ...entry }) => {
      const others = edits.filter((one) => one.id !== id);
      return withList(entry, 'edits', text === own ? others : [...others, { id, answer: text }]);
    });
  }

  /** The teacher's own answer again. */
  async undoEdit({ id }: PreviewedDemonstration): Promise<void> {
    if (this.listed === undefined) return;
    await this.changeEntry(this.listed, ({ edits = [], ...entry }) =>
      withList(
        entry,
        'edits',
        edits.filter((one) => one.id !== id),
      ),
    );
  }

  /** The rows of a teacher's files that are left out, as a file. */
  saveRejected(index: number): void {
    const rows = this.teachers[index]?.preview?.rejected ?? [];
    this.place.save(`${slug(this.entries[index]?.label ?? 'teacher')}-left-out.txt`, rejectedText(rows));
  }

  private changeEntry(index: number, update: (entry: DemonstrationsInput) => DemonstrationsInput): Promise<void> {
    return this.change((entries) => entries.map((entry, i) => (i === index ? update(entry) : entry)), index);
  }

  private async change(
    update: (entries: DemonstrationsInput[]) => DemonstrationsInput[],
    only?: number,
  ): Promise<void> {
    this.notice = undefined;
    try {
      this.place.experiments.change((document) => ({
        ...document,
        demonstrations: update(document.demonstrations ?? []),
      }));
    } catch (error) {
      this.notice = toNotice(error);
      return;
    }
    await this.refresh(only);
  }
}

/** An entry with a list that is left out where it is empty. */
function withList<Name extends 'exclude' | 'edits'>(
  entry: DemonstrationsInput,
  name: Name,
  list: NonNullable<DemonstrationsInput[Name]>,
): DemonstrationsInput {
  return list.length === 0 ? entry : { ...entry, [name]: list };
}
