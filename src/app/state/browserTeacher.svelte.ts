// browserTeacher.svelte.ts: a teacher that runs in this browser as the page shows it: which model, from the Hub or from a
// picked folder, its way into memory, and how fast it answers. The model is in a worker of its own; it is fetched and started
// when it is first wanted. The rest is lesson.svelte.ts.
import { toAnswer } from '../../base/answer';
import { PupilError } from '../../base/errors';
import { BROWSER_PROVIDER, TEACHER_DTYPES, TEACHER_WEIGHTS, type TeacherDtype } from '../../config/browserProvider';
import type {
  LoadedTeacherModel,
  TeacherAnswer,
  TeacherAnswerRequest,
  TeacherModelProgress,
  TeacherModelRequest,
  TeachEvent,
  TeachRequest,
  TeachSummary,
} from '../../session/protocol';
import { readModelFolder, type ModelFolder } from '../modelFolder';
import { Lesson, type LessonSettings } from './lesson.svelte';
import { toNotice } from './notice';
import type { LocalModel, TeacherPlace } from './teacherPlace';

export interface BrowserTeacherSettings extends LessonSettings {
  source: 'hub' | 'files';
  revision: string;
  device: TeacherModelRequest['device'];
  dtype: TeacherDtype;
}

const DEFAULTS: BrowserTeacherSettings = {
  source: 'hub',
  model: '',
  revision: '',
  device: 'auto',
  dtype: 'q4',
  task: '',
  label: '',
  family: 'out-family',
  system: '',
  temperature: '0.7',
  maxTokens: '256',
  limit: '',
};

export class BrowserTeacher extends Lesson<BrowserTeacherSettings> {
  folder = $state.raw<ModelFolder>();
  loaded = $state.raw<LoadedTeacherModel>();
  loading = $state(false);
  /** Of the files that are on their way, the latest of each. */
  arrived = $state.raw<Readonly<Record<string, TeacherModelProgress>>>({});
  /** Tokens of this sitting's answers, and the seconds that they took. */
  made = $state.raw({ tokens: 0, seconds: 0 });
  private client: LocalModel | undefined;

  constructor(place: TeacherPlace) {
    super(place, 'pupil-browser-teacher', DEFAULTS);
    if (!TEACHER_DTYPES.includes(this.settings.dtype)) this.settings.dtype = DEFAULTS.dtype;
  }

  readonly bytes = $derived.by(() => {
    const files = Object.values(this.arrived);
    const sum = (of: (one: TeacherModelProgress) => number): number => files.reduce((all, one) => all + of(one), 0);
    return { loaded: sum(({ loadedBytes }) => loadedBytes), total: sum(({ totalBytes }) => totalBytes) };
  });
  readonly tokensPerSecond = $derived(this.made.seconds === 0 ? undefined : this.made.tokens / this.made.seconds);
  /** Forms of the weights that can be chosen: all of them on the Hub, where nobody knows before it was asked. */
  readonly dtypes = $derived.by(() => {
    const { folder } = this;
    if (this.settings.source === 'hub' || folder === undefined) return TEACHER_DTYPES;
    const there = TEACHER_DTYPES.filter((one) => Object.hasOwn(folder.files, `onnx/${TEACHER_WEIGHTS[one]}`));
    return there.length === 0 ? TEACHER_DTYPES : there;
  });
  override readonly label = $derived.by(
    () => this.settings.label.trim() || this.settings.model.trim().split('/').at(-1)!,
  );

  /** After a setting has changed by which a model is loaded: the one in memory is another one now. */
  modelChanged(): void {
    this.unload();
    this.changed();
  }

  sourceChanged(): void {
    this.settings.model = this.settings.source === 'files' ? (this.folder?.name ?? '') : '';
    this.fitDtype();
    this.modelChanged();
  }

  /** A model's folder that was picked. */
  async takeFolder(files: Iterable<File>): Promise<void> {
    this.notice = undefined;
    try {
      this.folder = await readModelFolder(files);
      this.settings.model = this.folder.name;
      this.fitDtype();
      this.unload();
      // The same folder picked again, after the page was opened anew: what was begun goes on.
      this.estimate = undefined;
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** Loads the model into its worker; whether it is there then. Never rejects. */
  async load(): Promise<boolean> {
    if (this.loading) return false;
    this.loading = true;
    this.notice = undefined;
    this.arrived = {};
    const client = (this.client ??= this.place.teacherModel());
    try {
      const loaded = await client.load(this.modelRequest(), (progress) => {
        this.arrived = { ...this.arrived, [progress.file]: progress };
      });
      if (this.client === client) this.loaded = loaded;
    } catch (error) {
      if (this.client === client) this.notice = toNotice(error);
    }
    this.loading = false;
    return this.loaded !== undefined;
  }

  /** Ends the worker: a download or a compilation under way cannot be ended otherwise, and its memory is free at once. */
  unload(): void {
    this.client?.terminate();
    this.client = undefined;
    this.loaded = undefined;
    this.arrived = {};
  }

  override async start(retryFailed = false): Promise<void> {
    if (this.running) return;
    if (this.loaded === undefined && !(await this.load())) return;
    this.made = { tokens: 0, seconds: 0 };
    await super.start(retryFailed);
  }

  /** The answer under way is broken off: it may take minutes. */
  override async stop(): Promise<void> {
    await Promise.all([super.stop(), this.client?.interrupt().catch(() => undefined)]);
  }

  protected override async request(retryFailed: boolean): Promise<TeachRequest> {
    const wanted = await this.wanted(retryFailed);
    const { dtype } = this.settings;
    // All that makes it another model, as its name: answers are kept under it. Of the device, only rounding is to be seen.
    const model =
      this.settings.source === 'hub'
        ? `${this.settings.model.trim()}@${this.revision} ${dtype}`
        : `files ${this.expectFolder().fingerprint} ${dtype}`;
    return { ...wanted, provider: BROWSER_PROVIDER.id, model, samples: 1 };
  }

  protected override teach(request: TeachRequest, onEvent: (event: TeachEvent) => void): Promise<TeachSummary> {
    return this.place.session.teach(request, onEvent, (one) => toAnswer(() => this.answer(one)));
  }

  private async answer(request: TeacherAnswerRequest): Promise<TeacherAnswer> {
    const { client } = this;
    if (client === undefined) throw new PupilError('teacher', 'teacher model: expected a loaded model, there is none');
    if (this.stopping) return { text: '', promptTokens: 0, newTokens: 0, stopped: 'interrupted' };
    const begun = performance.now();
    const answer = await client.answer(request);
    this.made = {
      tokens: this.made.tokens + answer.newTokens,
      seconds: this.made.seconds + (performance.now() - begun) / 1000,
    };
    return answer;
  }

  private get revision(): string {
    return this.settings.revision.trim() || 'main';
  }

  private modelRequest(): TeacherModelRequest {
    const { source, model, device, dtype } = this.settings;
    if (source === 'files') {
      const { name, files } = this.expectFolder();
      return { source: { kind: 'files', name, files }, device, dtype };
    }
    const repository = model.trim();
    if (!/^[\w.-]+\/[\w.-]+$/.test(repository)) {
      throw new PupilError(
        'usage',
        `teacher: expected a model of the Hub as owner/name, got ${repository === '' ? 'nothing' : JSON.stringify(repository.slice(0, 80))}`,
        'For example onnx-community/Qwen2.5-0.5B-Instruct: it needs ONNX weights in its folder onnx/.',
      );
    }
    return { source: { kind: 'hub', repository, revision: this.revision }, device, dtype };
  }

  private expectFolder(): ModelFolder {
    if (this.folder !== undefined) return this.folder;
    throw new PupilError(
      'usage',
      'teacher: expected a picked folder with a model, got none',
      'Pick it (again, after the page was opened anew: a page cannot keep a folder).',
    );
  }

  private fitDtype(): void {
    if (!this.dtypes.includes(this.settings.dtype)) this.settings.dtype = this.dtypes[0]!;
  }
}
