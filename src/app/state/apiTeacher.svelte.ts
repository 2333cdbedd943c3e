// apiTeacher.svelte.ts: a teacher behind an API as the page shows it: its settings, what it would need, how far it is, what
// failed, and the way of its answers into the experiment. Asking, keeping answers and budgets are the session's. The key is in
// memory only, unless a person has it remembered; settings are remembered without it.
import { API_PROVIDERS, findProvider } from '../../config/apiProviders';
import { PupilError } from '../../base/errors';
import type { TeachEstimate, TeachEvent, TeachRequest, TeachSummary } from '../../session/protocol';
import { formatCount } from '../format';
import { toNotice, type Notice } from './notice';
import { withTeacher, type TeacherPlace } from './teacherPlace';

const SETTINGS = 'pupil-teacher';
/** Followed by the address that it is for. */
const KEY = 'pupil-teacher-key:';
const MAX_LOG = 100;

/** As typed. Empty: the default, or none. */
export interface TeacherSettings {
  provider: string;
  baseUrl: string;
  model: string;
  task: string;
  label: string;
  family: 'in-family' | 'out-family';
  system: string;
  temperature: string;
  maxTokens: string;
  samples: string;
  limit: string;
  priceIn: string;
  priceOut: string;
  budgetCost: string;
  budgetTokens: string;
}

const DEFAULTS: TeacherSettings = {
  provider: 'ollama',
  baseUrl: '',
  model: '',
  task: '',
  label: '',
  family: 'out-family',
  system: '',
  temperature: '0.7',
  maxTokens: '512',
  samples: '1',
  limit: '',
  priceIn: '',
  priceOut: '',
  budgetCost: '',
  budgetTokens: '',
};

type Progress = Extract<TeachEvent, { type: 'teach-progress' }>;

export class ApiTeacher {
  settings = $state<TeacherSettings>({ ...DEFAULTS });
  key = $state('');
  /** Whether the key that is typed is kept in this browser. */
  keyKept = $state(false);
  /** A lesson was begun and has not come to its end: the same again goes on. */
  unfinished = $state(false);
  estimate = $state.raw<TeachEstimate>();
  estimating = $state(false);
  running = $state(false);
  stopping = $state(false);
  progress = $state.raw<Progress>();
  summary = $state.raw<TeachSummary>();
  log = $state.raw<readonly string[]>([]);
  notice = $state.raw<Notice>();
  /** What has been done with the answers, in words. */
  done = $state('');

  constructor(private readonly place: TeacherPlace) {
    this.recall();
  }

  readonly providers = API_PROVIDERS;
  readonly provider = $derived(API_PROVIDERS.find(({ id }) => id === this.settings.provider) ?? API_PROVIDERS[0]);
  readonly address = $derived.by(() => {
    const typed = this.settings.baseUrl.trim();
    return typed === '' && 'baseUrl' in this.provider ? this.provider.baseUrl : typed;
  });
  readonly tasks = $derived.by(() => this.place.experiments.checked.experiment?.tasks ?? []);
  readonly task = $derived.by(
    () =>
      this.tasks.find(({ name }) => name === this.settings.task) ??
      this.tasks.find(({ use }) => use.some((what) => what !== 'evaluate')) ??
      this.tasks[0],
  );
  readonly label = $derived.by(() => this.settings.label.trim() || this.settings.model.trim());

  /** After provider or address have changed: a key typed for one place must not go to another. */
  moved(): void {
    this.key = this.place.memory.getItem(KEY + this.address) ?? '';
    this.keyKept = this.key !== '';
    this.changed();
  }

  /** After any setting has changed. */
  changed(): void {
    this.estimate = undefined;
    this.unfinished = false;
    this.remember();
  }

  /** The person's explicit choice; the key of this address only. */
  keepKey(keep: boolean): void {
    this.keyKept = keep;
    const name = KEY + this.address;
    try {
      if (keep && this.key !== '') this.place.memory.setItem(name, this.key);
      else this.place.memory.removeItem(name);
    } catch {
      this.keyKept = false; // no room, or storage is switched off
    }
  }

  /** A key that was typed anew takes the place of the kept one. */
  keyTyped(): void {
    if (this.keyKept) this.keepKey(true);
  }

  forgetKey(): void {
    this.keepKey(false);
    this.key = '';
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

  /** Asks until all is answered, the budget is used up, or {@link stop}. Never rejects. */
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
      const summary = await this.place.session.teach(request, (event) => this.accept(event));
      this.summary = summary;
      this.unfinished = summary.reason !== 'finished';
      this.remember();
      await this.deliver(summary, task, experimentId);
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.running = this.stopping = false;
  }

  /** Answers under way are waited for: they are paid for. */
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

  private async request(retryFailed: boolean): Promise<TeachRequest> {
    const { settings, task } = this;
    const { experiment, files } = await this.place.prepareData();
    if (task === undefined) throw new PupilError('usage', 'teacher: expected a task, the experiment has none');
    if (settings.model.trim() === '')
      throw new PupilError('usage', 'teacher: expected the name of a model, got nothing');
    if (findProvider(settings.provider).key === 'required' && this.key.trim() === '') {
      throw new PupilError('usage', `teacher: expected a key for ${this.provider.title}, got nothing`);
    }
    const [priceIn, priceOut] = [number(settings.priceIn, 'price in'), number(settings.priceOut, 'price out')];
    if ((priceIn === undefined) !== (priceOut === undefined)) {
      throw new PupilError('usage', 'teacher: expected both prices or none', 'They are per million tokens.');
    }
    const cost = number(settings.budgetCost, 'budget');
    const tokens = number(settings.budgetTokens, 'budget of tokens');
    const temperature = number(settings.temperature, 'temperature');
    const limit = number(settings.limit, 'questions');
    const system = settings.system.trim();
    return {
      trainingOf: { experiment, task: task.name },
      files,
      provider: settings.provider,
      ...(settings.baseUrl.trim() === '' ? {} : { baseUrl: settings.baseUrl.trim() }),
      model: settings.model.trim(),
      ...(this.key.trim() === '' ? {} : { key: this.key }),
      ...(system === '' ? {} : { system }),
      ...(temperature === undefined ? {} : { temperature }),
      maxTokens: number(settings.maxTokens, 'tokens of an answer') ?? Number(DEFAULTS.maxTokens),
      samples: number(settings.samples, 'answers to each question') ?? 1,
      ...(limit === undefined ? {} : { limit }),
      label: this.label,
      family: settings.family,
      ...(priceIn === undefined ? {} : { prices: { inputPerMillion: priceIn, outputPerMillion: priceOut! } }),
      ...(cost === undefined && tokens === undefined
        ? {}
        : { budget: { ...(cost === undefined ? {} : { cost }), ...(tokens === undefined ? {} : { tokens }) } }),
      ...(retryFailed ? { retryFailed } : {}),
    };
  }

  private remember(): void {
    const { settings, unfinished } = this;
    try {
      this.place.memory.setItem(SETTINGS, JSON.stringify({ settings: $state.snapshot(settings), unfinished }));
    } catch {
      // Without room it works all the same, and is typed again after a reload.
    }
  }

  private recall(): void {
    try {
      const kept = JSON.parse(this.place.memory.getItem(SETTINGS) ?? '{}') as {
        settings?: Partial<TeacherSettings>;
        unfinished?: boolean;
      };
      const known = Object.entries(kept.settings ?? {}).filter(
        ([name, value]) => name in DEFAULTS && typeof value === 'string',
      );
      this.settings = { ...DEFAULTS, ...Object.fromEntries(known) };
      this.unfinished = kept.unfinished === true;
    } catch {
      // damaged: as if nothing were kept
    }
    this.key = this.place.memory.getItem(KEY + this.address) ?? '';
    this.keyKept = this.key !== '';
  }
}

const linesOf = ({ demonstrations }: TeachSummary): Uint8Array =>
  new TextEncoder().encode(demonstrations.map((one) => `${JSON.stringify(one)}\n`).join(''));

/** A typed number; undefined for nothing. Whether it makes sense is the session's to say. */
function number(text: string, name: string): number | undefined {
  const typed = text.trim();
  if (typed === '') return undefined;
  const value = Number(typed);
  if (Number.isFinite(value)) return value;
  throw new PupilError('usage', `teacher: expected a number as ${name}, got ${JSON.stringify(typed.slice(0, 40))}`);
}
