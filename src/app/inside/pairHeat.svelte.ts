// pairHeat.svelte.ts: pairs measured token by token on the GPU, as the page asks for them: what is known so far, what is under
// way, and how long it still takes. The numbers are the session's.
import type { PairTokensSummary, ScoredPair } from '../../session/protocol';
import { formatNumber } from '../format';
import { toNotice, type Notice } from '../state/notice';
import type { InsideRun } from './insideRun.svelte';

/** Pairs that are kept; one is some kilobytes. */
const KEEP = 400;

export class PairHeat {
  /** By line; the ones measured last come last. */
  scored = $state.raw<ReadonlyMap<number, ScoredPair>>(new Map());
  summary = $state.raw<PairTokensSummary>();
  measuring = $state(false);
  /** Whether pairs are measured as they are chosen: once a person has asked for one. */
  follows = $state(false);
  progress = $state.raw<{ words: string; share?: number; secondsLeft?: number }>();
  notice = $state.raw<Notice>();
  private of = '';
  private startedMs = 0;

  /** Other work has the GPU: the run itself, above all. */
  readonly blocked = $derived.by(() => this.inside.playground.busy && !this.measuring);

  constructor(private readonly inside: InsideRun) {}

  /** What is known belongs to this state of this run alone. */
  use(runId: string, revision: string): void {
    const of = `${runId} ${revision}`;
    if (of === this.of) return;
    this.of = of;
    this.scored = new Map();
    this.summary = undefined;
    this.notice = undefined;
  }

  /** Measures those that are not known yet. Never rejects. */
  async measure(pairs: readonly number[]): Promise<void> {
    const missing = pairs.filter((index) => !this.scored.has(index));
    if (missing.length === 0 || this.measuring || this.blocked) return;
    const { playground, runId } = this.inside;
    const { of } = this;
    this.notice = undefined;
    this.measuring = playground.analysing = true;
    this.startedMs = performance.now();
    this.progress = { words: 'Looking for the run’s student …' };
    try {
      await playground.wake();
      const source = await this.inside.source('student');
      this.summary = await playground.session.pairTokens({ ...source, runId, pairs: missing }, (event) => {
        if (this.of !== of) return;
        if (event.type === 'pair') this.keep(event.pair);
        else this.progress = this.wordsOf(event.progress);
      });
      this.follows = true;
    } catch (error) {
      this.notice = toNotice(error);
      this.follows = false;
      if (this.notice.code === 'cancelled') this.notice = undefined;
    } finally {
      this.measuring = playground.analysing = false;
      this.progress = undefined;
    }
  }

  async stop(): Promise<void> {
    this.follows = false;
    if (this.measuring) await this.inside.playground.session.stop();
  }

  private keep(pair: ScoredPair): void {
    const kept = new Map(this.scored);
    kept.set(pair.index, pair);
    for (const oldest of [...kept.keys()].slice(0, Math.max(0, kept.size - KEEP))) kept.delete(oldest);
    this.scored = kept;
  }

  private wordsOf({ task, done, total, unit }: { task: string; done: number; total?: number; unit: string }): {
    words: string;
    share?: number;
    secondsLeft?: number;
  } {
    const what = task === 'pairs' ? 'Measuring' : 'Loading the student';
    if (done === 0) this.startedMs = performance.now();
    if (total === undefined || total === 0) return { words: `${what}: ${done} ${unit}` };
    const seconds = (performance.now() - this.startedMs) / 1000;
    return {
      words: `${what}: ${formatNumber(done)} of ${formatNumber(total)} ${unit}`,
      share: done / total,
      ...(done > 0 && seconds > 1 ? { secondsLeft: (seconds / done) * (total - done) } : {}),
    };
  }
}
