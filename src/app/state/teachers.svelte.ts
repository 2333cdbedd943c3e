// teachers.svelte.ts: where demonstrations of the chosen experiment come from: its teachers as they are, files of the person's
// own, a teacher behind an API or in this browser, and tasks of one's own. Each part is in its own file; here is what they share, and the files
// that the browser keeps for them.
import { slug } from '../../base/slug';
import { ApiTeacher } from './apiTeacher.svelte';
import { BrowserTeacher } from './browserTeacher.svelte';
import { DiskImport } from './diskImport.svelte';
import { nameOf } from './experimentChoices';
import { Mixture } from './mixture.svelte';
import { toNotice, type Notice } from './notice';
import { TaskImport } from './taskImport.svelte';
import { asJsonText, withPlainNames, type TeacherPlace } from './teacherPlace';

export class Teachers {
  readonly mixture: Mixture;
  readonly disk: DiskImport;
  readonly task: TaskImport;
  readonly api: ApiTeacher;
  readonly browser: BrowserTeacher;
  kept = $state.raw<readonly { path: string; sizeBytes: number }[]>([]);
  notice = $state.raw<Notice>();

  constructor(private readonly place: TeacherPlace) {
    this.mixture = new Mixture(place);
    this.disk = new DiskImport(place);
    this.task = new TaskImport(place);
    this.api = new ApiTeacher(place);
    this.browser = new BrowserTeacher(place);
  }

  /** Whether a teacher is being asked. */
  get asking(): boolean {
    return this.api.running || this.browser.running;
  }

  /** The files that the browser keeps for experiments. */
  async refreshKept(): Promise<void> {
    await this.guarded(async () => {
      this.kept = await this.place.session.keptFiles();
    });
  }

  async deleteKept(path: string): Promise<void> {
    await this.guarded(async () => {
      await this.place.session.deleteKeptFile(path);
      this.kept = await this.place.session.keptFiles();
    });
  }

  /** Whether the chosen experiment reads it. */
  isUsed(path: string): boolean {
    return JSON.stringify(this.place.experiments.document ?? null).includes(JSON.stringify(path));
  }

  /** The experiment file into the person's downloads, and beside it the kept files that it names. */
  async download(): Promise<void> {
    await this.guarded(async () => {
      const { complete } = this.place.experiments;
      const { text, files } = withPlainNames(asJsonText(complete));
      for (const { path, name } of files) this.place.save(name, await this.place.session.keptFile(path));
      this.place.save(`${slug(nameOf(complete, 'experiment'))}.json`, new TextEncoder().encode(text));
    });
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    this.notice = undefined;
    try {
      await work();
    } catch (error) {
      this.notice = toNotice(error);
    }
  }
}
