// judge.svelte.ts: a judge that is asked about the answers of chosen runs, as the page shows it: what it would need, how far it
// is, what came of it. Asking, keeping replies and storing ratings with the runs are the session's.
import type { JudgeRunsRequest, JudgeSummary, SessionApi, TeachEstimate, TeachEvent } from '../../session/protocol';
import { ApiAccess, type AccessSettings } from '../state/apiAccess.svelte';
import type { KeyValue } from '../state/keyValue';
import { toNotice, type Notice } from '../state/notice';
import { typedNumber } from '../state/typedNumber';

interface JudgeSettings extends AccessSettings {
  limit: string;
  maxTokens: string;
  temperature: string;
}

/** The paper judges 50 questions; it gives no temperature. */
const DEFAULTS: JudgeSettings = {
  provider: 'ollama',
  baseUrl: '',
  model: '',
  priceIn: '',
  priceOut: '',
  budgetCost: '',
  budgetTokens: '',
  limit: '50',
  maxTokens: '512',
  temperature: '0',
};
const MEMORY = 'pupil-judge';
const MAX_LOG = 100;

type JudgeSession = Pick<SessionApi, 'estimateJudgingRuns' | 'judgeRuns' | 'stop'>;

export class Judge {
  settings = $state<JudgeSettings>({ ...DEFAULTS });
  teachers = $state(false);
  targets = $state(false);
  estimate = $state.raw<TeachEstimate>();
  estimating = $state(false);
  running = $state(false);
  stopping = $state(false);
  progress = $state.raw<Extract<TeachEvent, { type: 'teach-progress' }>>();
  summary = $state.raw<JudgeSummary>();
  log = $state.raw<readonly string[]>([]);
  notice = $state.raw<Notice>();
  readonly access: ApiAccess;

  constructor(
    private readonly session: JudgeSession,
    private readonly memory: KeyValue,
    /** Told when asking begins and ends: no other work goes on meanwhile. */
    private readonly working: (is: boolean) => void = () => undefined,
    /** Told when ratings may have been stored with the runs. */
    private readonly onRated: () => void = () => undefined,
  ) {
    this.recall();
    this.access = new ApiAccess(
      memory,
      () => this.settings,
      () => this.changed(),
    );
  }

  /** After any setting, or the choice of runs, has changed. */
  changed(): void {
    this.estimate = undefined;
    try {
      this.memory.setItem(MEMORY, JSON.stringify($state.snapshot(this.settings)));
    } catch {
      // Without room it works all the same, and is typed again after a reload.
    }
  }

  async estimateNow(runs: readonly string[]): Promise<void> {
    if (this.estimating || this.running) return;
    this.estimating = true;
    this.notice = this.estimate = undefined;
    try {
      this.estimate = await this.session.estimateJudgingRuns(this.request(runs, false));
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.estimating = false;
  }

  /** Asks until all is rated, a budget is used up, or {@link stop}. Never rejects. */
  async start(runs: readonly string[], retryFailed = false): Promise<void> {
    if (this.running) return;
    this.running = true;
    this.working(true);
    this.notice = this.estimate = this.progress = this.summary = undefined;
    this.log = [];
    try {
      this.summary = await this.session.judgeRuns(this.request(runs, retryFailed), (event) => this.accept(event));
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.running = this.stopping = false;
    this.working(false);
    this.onRated();
  }

  /** What has been rated is stored. */
  async stop(): Promise<void> {
    this.stopping = true;
    try {
      await this.session.stop();
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  private request(runs: readonly string[], retryFailed: boolean): JudgeRunsRequest {
    const { settings } = this;
    const limit = typedNumber(settings.limit, 'questions', 'judge');
    const temperature = typedNumber(settings.temperature, 'temperature', 'judge');
    return {
      ...this.access.request('judge'),
      runs: [...runs],
      seed: 0,
      maxTokens: typedNumber(settings.maxTokens, 'tokens of a reply', 'judge') ?? Number(DEFAULTS.maxTokens),
      ...(limit === undefined ? {} : { limit }),
      ...(temperature === undefined ? {} : { temperature }),
      ...(this.teachers ? { teachers: true } : {}),
      ...(this.targets ? { targets: true } : {}),
      ...(retryFailed ? { retryFailed } : {}),
    };
  }

  private accept(event: TeachEvent): void {
    if (event.type === 'teach-progress') this.progress = event;
    else if (event.type === 'log') this.log = [...this.log, event.message].slice(-MAX_LOG);
  }

  private recall(): void {
    try {
      const kept = JSON.parse(this.memory.getItem(MEMORY) ?? '{}') as Record<string, unknown>;
      const known = Object.entries(kept).filter(([name, value]) => name in DEFAULTS && typeof value === 'string');
      this.settings = { ...DEFAULTS, ...Object.fromEntries(known) };
    } catch {
      // damaged: as if nothing were kept
    }
  }
}
