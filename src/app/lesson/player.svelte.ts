// player.svelte.ts: a recorded run, played: its events go into a RunView as those of a run that goes on do, at a pace to look at.
// Time is given to it; it has no clock of its own.
import type { SessionEvent } from '../../session/protocol';
import type { RunView } from '../state/run.svelte';
import type { Recording } from './recording';
import { STAGES, stageOf, type StageName } from './stages';

/** How long the whole takes at speed 1, and what a stage has of it at the least and at the most. */
const WHOLE_MS = 120_000;
const STAGE_LEAST = 0.08;
const STAGE_MOST = 0.24;
/** Of the place of an event within its stage: by its time, the rest by its number, so that what came at once can be read. */
const BY_TIME = 0.2;
/** What one step goes on to. */
const UNITS: ReadonlySet<SessionEvent['type']> = new Set(['demonstration', 'metrics', 'sampled', 'pair', 'evaluation']);

interface Timed {
  atMs: number;
  event: SessionEvent;
}

export interface PlayedStage {
  name: StageName;
  startMs: number;
  endMs: number;
}

export class Player {
  /** Replaced where it goes back. */
  run = $state.raw() as RunView;
  atMs = $state(0);
  playing = $state(false);
  factor = $state(1);
  readonly totalMs = WHOLE_MS;
  readonly stages: readonly PlayedStage[];
  readonly ended = $derived.by(() => this.atMs >= this.totalMs);
  private readonly timeline: readonly Timed[];
  private next = 0;

  /** @param makeRun an empty view of a run that starts. */
  constructor(
    readonly recording: Recording,
    private readonly makeRun: () => RunView,
  ) {
    ({ timeline: this.timeline, stages: this.stages } = layOut(recording, makeRun()));
    this.run = makeRun();
    this.feed();
  }

  play(): void {
    if (this.ended) this.seek(0);
    this.playing = true;
  }

  pause(): void {
    this.playing = false;
  }

  /** So much time has passed; nothing happens while it rests. */
  advance(ms: number): void {
    if (!this.playing) return;
    this.atMs = Math.min(this.totalMs, this.atMs + ms * this.factor);
    this.feed();
    if (this.ended) this.playing = false;
  }

  /** Goes on to the next thing to be seen, and rests there. */
  step(): void {
    this.playing = false;
    const found = this.timeline.findIndex(({ event }, i) => i >= this.next && UNITS.has(event.type));
    const upTo = found < 0 ? this.timeline.length : found + 1;
    this.atMs = found < 0 ? this.totalMs : this.timeline[found]!.atMs;
    while (this.next < upTo) this.take();
  }

  seek(ms: number): void {
    const wanted = Math.max(0, Math.min(this.totalMs, ms));
    if (wanted < this.atMs) {
      this.run = this.makeRun();
      this.next = 0;
    }
    this.atMs = wanted;
    this.feed();
  }

  /** To the beginning of a stage, where its first event has come. */
  seekStage(name: StageName): void {
    const stage = this.stages.find((one) => one.name === name);
    if (stage !== undefined) this.seek(stage.startMs);
  }

  private feed(): void {
    while (this.next < this.timeline.length && this.timeline[this.next]!.atMs <= this.atMs) this.take();
  }

  private take(): void {
    this.run.accept(this.timeline[this.next++]!.event);
  }
}

/** When each event is shown: the stages in their order, long ones shortened and short ones lengthened. */
function layOut({ events }: Recording, run: RunView): { timeline: Timed[]; stages: PlayedStage[] } {
  const groups = new Map<StageName, { ms: number; event: SessionEvent }[]>(STAGES.map(({ name }) => [name, []]));
  let at = 0;
  for (const [ms, event] of events) {
    run.accept(event);
    // Never back: a stage that is over stays over.
    at = Math.max(
      at,
      STAGES.findIndex(({ name }) => name === stageOf(run)),
    );
    groups.get(STAGES[at]!.name)!.push({ ms, event });
  }
  const lengths = STAGES.map(({ name }) => {
    const group = groups.get(name)!;
    return { name, group, ms: group.length === 0 ? 0 : group.at(-1)!.ms - group[0]!.ms };
  });
  const real = Math.max(
    1,
    lengths.reduce((sum, { ms }) => sum + ms, 0),
  );
  const shares = lengths.map(({ group, ms }) =>
    group.length === 0 ? 0 : Math.min(STAGE_MOST, Math.max(STAGE_LEAST, ms / real)),
  );
  const whole = Math.max(
    1e-9,
    shares.reduce((sum, share) => sum + share, 0),
  );
  const timeline: Timed[] = [];
  const stages: PlayedStage[] = [];
  let startMs = 0;
  lengths.forEach(({ name, group, ms }, s) => {
    const lengthMs = (WHOLE_MS * shares[s]!) / whole;
    const first = group[0]?.ms ?? 0;
    group.forEach((one, i) => {
      const byTime = ms === 0 ? 0 : (one.ms - first) / ms;
      const byNumber = i / group.length;
      timeline.push({ atMs: startMs + lengthMs * (BY_TIME * byTime + (1 - BY_TIME) * byNumber), event: one.event });
    });
    if (group.length > 0) stages.push({ name, startMs, endMs: startMs + lengthMs });
    startMs += lengthMs;
  });
  return { timeline, stages };
}
