// story.svelte.ts: the texts of a run as they are told: demonstrations, answers y and ŷ, preference pairs. A part of RunView, for
// whoever shows them; it is given a bounded number of them and computes nothing.
import type { DemonstrationEvent, PairEvent, SampledEvent, SessionEvent } from '../../session/protocol';

export class Story {
  demonstrations = $state.raw<readonly DemonstrationEvent[]>([]);
  y = $state.raw<readonly SampledEvent[]>([]);
  yHat = $state.raw<readonly SampledEvent[]>([]);
  pairs = $state.raw<readonly PairEvent[]>([]);
  /** What came last; not what has the highest number, where a resumed run tells some again. */
  latestPair = $state.raw<PairEvent>();
  latestAnswer = $state.raw<SampledEvent>();

  accept(event: SessionEvent): void {
    switch (event.type) {
      case 'demonstration':
        this.demonstrations = withOne(this.demonstrations, event);
        return;
      case 'sampled':
        if (event.which === 'y') this.y = withOne(this.y, event);
        else this.yHat = withOne(this.yHat, event);
        this.latestAnswer = event;
        return;
      case 'pair':
        this.pairs = withOne(this.pairs, event);
        this.latestPair = event;
        return;
      default:
        return;
    }
  }

  reset(): void {
    this.demonstrations = [];
    this.y = [];
    this.yHat = [];
    this.pairs = [];
    this.latestPair = undefined;
    this.latestAnswer = undefined;
  }
}

/** In order of numbers; what is told again replaces what was told before. */
function withOne<T extends { index: number }>(known: readonly T[], event: T): readonly T[] {
  const last = known.at(-1);
  if (last === undefined || last.index < event.index) return [...known, event];
  return [...known.filter(({ index }) => index !== event.index), event].sort((a, b) => a.index - b.index);
}
