// lesson.svelte.ts: what teachers that are asked have in common as the page shows them, behind an API or in this browser:
// settings that are remembered, what it would need, how far it is, what failed, and the way of the answers into the experiment.
// Whom to ask, and with what, is the subclasses'. Asking, keeping answers and counting are the session's.
import { PupilError } from '../../base/errors';
import type { TeachEstimate, TeachEvent, TeachRequest, TeachSummary } from '../../session/protocol';
import { formatCount } from '../format';
import { toNotice, type Notice } from './notice';
import { typedNumber } from './typedNumber';
import { withTeacher, type TeacherPlace } from './teacherPlace';

const MAX_LOG = 100;

/** As typed. Empty: the default, or none. */
export interface LessonSettings {
  model: string;
  task: string;
  label: string;
  family: 'in-family' | 'out-family';
  system: string;
  temperature: string;
  maxTokens: string;
  limit: string;
}

/** The part of a request that says what is asked, and of which model it says nothing. */
type Wanted = Omit<TeachRequest, 'provider' | 'model' | 'samples'>;

export abstract class Lesson<Settings extends LessonSettings> {
  settings = $state() as Settings;
  /** A lesson was begun and has not come to its end: the same again goes on. */
  unfinished = $state(false);
  estimate = $state.raw<TeachEstimate>();
  estimating = $state(false);
  running = $state(false);
  stopping = $state(false);
  progress = $state.raw<Extract<TeachEvent, { type: 'teach-progress' }>>();
  summary = $state.raw<TeachSummary>();
  log = $state.raw<readonly string[]>([]);
  notice = $state.raw<Notice>();
  /** What has been done with the answers, in words. */
  done = $state('');

  constructor(
    protected readonly place: TeacherPlace,
    /** Under which settings are remembered. */
    private readonly memoryName: string,
    protected readonly defaults: Settings,
  ) {
    this.settings = { ...defaults };
    this.recall();
  }

  readonly tasks = $derived.by(() => this.place.experiments.checked.experiment?.tasks ?? []);
  readonly task = $derived.by(
    () =>
      this.tasks.find(({ name }) => name === this.settings.task) ??
      this.tasks.find(({ use }) => use.some((what) => what !== 'evaluate')) ??
      this.tasks[0],
  );
  readonly label = $derived.by(() => this.settings.label.trim() || this.settings.model.trim());

  /** The whole request; throws for what is missing or mistyped. */
  protected abstract request(retryFailed: boolean): Promise<TeachRequest>;

  /** Has it asked. */
  protected abstract teach(request: TeachRequest, onEvent: (event: TeachEvent) => void): Promise<TeachSummary>;

  /** After any setting has changed. */
  changed(): void {
    this.estimate = undefined;
    this.unfinished = false;
    this.remember();
  }

  async estimateNow(): Promise<void> {
    if (this.estimating || this.running) return;
    this.estimating = true;
    this.notice = undefined;
    this.estimate = undefined;
    try {
      this.estimate = await this.place.session.estimateTeaching(await this.request(false));
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.estimating = false;
  }

  /** Asks until all is answered, a budget is used up, or {@link stop}. Never rejects. */
  async start(retryFailed = false): Promise<void> {
    if (this.running) return;
    this.running = true;
    this.notice = undefined;
    this.done = '';
    this.log = [];
    this.estimate = undefined;
    this.progress = undefined;
    this.summary = undefined;
    const experimentId = this.place.experiments.selectedId;
    const task = this.task?.name ?? '';
    try {
      const request = await this.request(retryFailed);
      this.unfinished = true;
      this.remember();
      const summary = await this.teach(request, (event) => this.accept(event));
      this.summary = summary;
      this.unfinished = summary.reason !== 'finished';
      this.remember();
      await this.deliver(summary, task, experimentId);
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.running = this.stopping = false;
  }

  /** What has been answered is used. */
  async stop(): Promise<void> {
    this.stopping = true;
    try {
      await this.place.session.stop();
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** The answers as JSON lines, as an experiment reads them. */
  saveAnswers(): void {
    if (this.summary !== undefined) this.place.save(`${this.summary.label}.jsonl`, linesOf(this.summary));
  }

  /** @throws PupilError `usage` where the experiment has no task, `model` is empty, or a number is none. */
  protected async wanted(retryFailed: boolean): Promise<Wanted> {
    const { settings, task, defaults } = this;
    const { experiment, files } = await this.place.prepareData();
    if (task === undefined) throw new PupilError('usage', 'teacher: expected a task, the experiment has none');
    if (settings.model.trim() === '')
      throw new PupilError('usage', 'teacher: expected the name of a model, got nothing');
    const temperature = typedNumber(settings.temperature, 'temperature');
    const limit = typedNumber(settings.limit, 'questions');
    const system = settings.system.trim();
    return {
      trainingOf: { experiment, task: task.name },
      files,
      ...(system === '' ? {} : { system }),
      ...(temperature === undefined ? {} : { temperature }),
      maxTokens: typedNumber(settings.maxTokens, 'tokens of an answer') ?? Number(defaults.maxTokens),
      ...(limit === undefined ? {} : { limit }),
      label: this.label,
      family: settings.family,
      ...(retryFailed ? { retryFailed } : {}),
    };
  }

  private accept(event: TeachEvent): void {
    if (event.type === 'teach-progress') this.progress = event;
    else if (event.type === 'log') this.log = [...this.log, event.message].slice(-MAX_LOG);
  }

  /** The answers become a teacher of the experiment, in place of those of an earlier sitting. */
  private async deliver(summary: TeachSummary, task: string, experimentId: string): Promise<void> {
    if (summary.demonstrations.length === 0) return;
    const { label } = summary;
    const { family } = summary.demonstrations[0]!;
    const path = await this.place.session.keepFile(`${label}-${task}.jsonl`, linesOf(summary));
    this.place.experiments.change((document) => {
      const earlier = document.demonstrations?.find((entry) => entry.task === task && entry.label === label);
      if (earlier === undefined) {
        return withTeacher(document, { label, task, files: [path], format: 'jsonl', family }, { alone: false });
      }
      if (!earlier.files.every((file) => file.startsWith('kept:')) || earlier.format !== 'jsonl') {
        throw new PupilError(
          'usage',
          `teacher: expected a name that no other teacher of ${task} has, got ${label}`,
          'The answers are kept: give another name and start again, nothing is asked twice.',
        );
      }
      const demonstrations = document.demonstrations!.map((entry) =>
        entry === earlier ? { ...earlier, files: [path], family } : entry,
      );
      return { ...document, demonstrations };
    }, experimentId);
    this.done = `${formatCount(summary.demonstrations.length, 'demonstration')} by ${label}: in the experiment now, for ${task}.`;
  }

  private remember(): void {
    const { settings, unfinished } = this;
    try {
      this.place.memory.setItem(this.memoryName, JSON.stringify({ settings: $state.snapshot(settings), unfinished }));
    } catch {
      // Without room it works all the same, and is typed again after a reload.
    }
  }

  private recall(): void {
    try {
      const kept = JSON.parse(this.place.memory.getItem(this.memoryName) ?? '{}') as {
        settings?: Partial<Settings>;
        unfinished?: boolean;
      };
      const known = Object.entries(kept.settings ?? {}).filter(
        ([name, value]) => name in this.defaults && typeof value === 'string',
      );
      this.settings = { ...this.defaults, ...Object.fromEntries(known) };
      this.unfinished = kept.unfinished === true;
    } catch {
      // damaged: as if nothing were kept
    }
  }
}

const linesOf = ({ demonstrations }: TeachSummary): Uint8Array =>
  new TextEncoder().encode(demonstrations.map((one) => `${JSON.stringify(one)}\n`).join(''));
