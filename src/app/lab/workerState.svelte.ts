// workerState.svelte.ts: what became of the worker in which the session lives, as the page shows it: silent for long, or gone.
// Starting another one is the client's business; going on with a run is the playground's.
import { toNotice, type Notice } from '../state/notice';
import type { WorkerNews } from './workerNews';

/** What the page holds of the client beside its methods. */
export interface WorkerHold {
  onNews(listener: (news: WorkerNews) => void): void;
  replace(): void;
}

export class WorkerState {
  /** It has not answered for so long; 0 while it does. */
  silentSeconds = $state(0);
  /** Why it is gone, until a person has taken notice. */
  lost = $state.raw<Notice>();

  constructor(
    private readonly hold: WorkerHold | undefined,
    /** What was in its memory (the device, a run) is gone with it. */
    private readonly onLost: () => void,
  ) {
    hold?.onNews((news) => this.take(news));
  }

  /** Gives up a worker that does not answer. */
  replace(): void {
    this.hold?.replace();
  }

  private take(news: WorkerNews): void {
    this.silentSeconds = news.kind === 'silent' ? news.seconds : 0;
    if (news.kind !== 'lost') return;
    this.lost = toNotice(news.error);
    this.onLost();
  }
}
