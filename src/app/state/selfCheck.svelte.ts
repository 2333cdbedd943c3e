// selfCheck.svelte.ts: the self-check as the page shows it: what is to be checked, how far it is by families of kernels, what
// failed. How a bug report is written of it is inside/checkReport.ts.
import { toPlainError } from '../../base/errors';
import type { CheckResult, CheckSummary, SessionApi } from '../../session/protocol';
import { toNotice, type Notice } from './notice';

/** One family of kernels, as far as it has been checked. */
export interface FamilyCount {
  family: string;
  passed: number;
  failed: number;
  skipped: number;
  /** Cases of the family that the filter lets through; undefined before its turn. */
  cases: number | undefined;
}

const none = (family: string): FamilyCount => ({ family, passed: 0, failed: 0, skipped: 0, cases: undefined });
const doneOf = ({ passed, failed, skipped }: FamilyCount): number => passed + failed + skipped;

export class SelfCheck {
  running = $state(false);
  stopping = $state(false);
  /** The person stopped it before its end. */
  stopped = $state(false);
  passed = $state(0);
  failed = $state(0);
  skipped = $state(0);
  current = $state('');
  /** What the present results were filtered by. */
  filter = $state('');
  failures = $state.raw<readonly CheckResult[]>([]);
  skips = $state.raw<readonly CheckResult[]>([]);
  counts = $state.raw<readonly FamilyCount[]>([]);
  /** Families of kernels. */
  known = $state.raw<readonly string[]>([]);
  summary = $state.raw<CheckSummary>();
  notice = $state.raw<Notice>();
  private startMs = 0;
  private now = $state(0);

  readonly done = $derived(this.passed + this.failed + this.skipped);
  /** 0 to 1 by families, which differ in size; undefined with a filter, which may leave out any of them. */
  readonly share = $derived.by((): number | undefined => {
    if (this.filter !== '' || this.known.length === 0) return undefined;
    const parts = this.counts.map((one) => (one.cases === undefined ? 0 : doneOf(one) / Math.max(1, one.cases)));
    return parts.reduce((sum, part) => sum + part, 0) / this.known.length;
  });
  readonly secondsLeft = $derived.by((): number | undefined => {
    const seconds = (this.now - this.startMs) / 1000;
    if (!this.running || this.share === undefined || this.share < 0.02 || seconds < 1) return undefined;
    return (seconds / this.share) * (1 - this.share);
  });

  constructor(private readonly session: SessionApi) {}

  /** Looks up what there is to check. */
  async look(): Promise<void> {
    if (this.known.length > 0) return;
    try {
      this.known = await this.session.checkFamilies();
      if (this.counts.length === 0) this.counts = this.known.map(none);
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** Checks everything, or the cases whose family, kernel or name contains the filter. */
  async start(filter = ''): Promise<void> {
    this.running = true;
    this.stopping = this.stopped = false;
    this.passed = this.failed = this.skipped = 0;
    this.failures = this.skips = [];
    this.filter = filter.trim();
    this.summary = undefined;
    this.notice = undefined;
    await this.look();
    this.counts = this.filter === '' ? this.known.map(none) : [];
    this.startMs = this.now = performance.now();
    try {
      const wanted = this.filter === '' ? undefined : this.filter;
      this.summary = await this.session.check(wanted, (result) => this.accept(result));
    } catch (error) {
      if (this.stopping && toPlainError(error).code === 'cancelled') this.stopped = true;
      else this.notice = toNotice(error);
    } finally {
      this.running = this.stopping = false;
      this.current = '';
    }
  }

  /** After the case that is being checked. */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.stopping = true;
    await this.session.stop();
  }

  private accept(result: CheckResult): void {
    this[result.status]++;
    this.current = `${result.kernel} ${result.name}`;
    this.now = performance.now();
    if (result.status === 'failed') this.failures = [...this.failures, result];
    if (result.status === 'skipped') this.skips = [...this.skips, result];
    const known = this.counts.some(({ family }) => family === result.family);
    const counts = known ? this.counts : [...this.counts, none(result.family)];
    this.counts = counts.map((one) =>
      one.family === result.family
        ? { ...one, [result.status]: one[result.status] + 1, cases: result.familyCases }
        : one,
    );
  }
}
