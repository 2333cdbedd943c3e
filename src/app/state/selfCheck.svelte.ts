// selfCheck.svelte.ts: the self-check as the page shows it: counts, failures, what is being checked.
import type { CheckResult, CheckSummary, SessionApi } from '../../session/protocol';
import { toNotice, type Notice } from './notice';

export class SelfCheck {
  running = $state(false);
  passed = $state(0);
  failed = $state(0);
  skipped = $state(0);
  current = $state('');
  failures = $state.raw<readonly CheckResult[]>([]);
  summary = $state.raw<CheckSummary>();
  notice = $state.raw<Notice>();

  constructor(private readonly session: SessionApi) {}

  async start(): Promise<void> {
    this.running = true;
    this.passed = this.failed = this.skipped = 0;
    this.failures = [];
    this.summary = undefined;
    this.notice = undefined;
    try {
      this.summary = await this.session.check(undefined, (result) => this.accept(result));
    } catch (error) {
      this.notice = toNotice(error);
    } finally {
      this.running = false;
      this.current = '';
    }
  }

  private accept(result: CheckResult): void {
    this[result.status]++;
    this.current = result.kernel;
    if (result.status === 'failed') this.failures = [...this.failures, result];
  }
}
