// lessonShow.svelte.ts: what the Lesson place shows: the run that goes on, an earlier one that this browser keeps, the recording,
// or, before anything, a foretaste of it; which stage is looked at; and the controls, which mean the same for all of them.
// It computes nothing of a run.
import type { RunState } from '../../session/protocol';
import { RunControls } from '../lab/runControls.svelte';
import { toNotice, type Notice } from '../state/notice';
import type { Playground } from '../state/playground.svelte';
import { RunView } from '../state/run.svelte';
import { Player } from './player.svelte';
import preview from './preview.json';
import { asRecording, fetchRecording, type Recording } from './recording';
import { isStage, STAGES, stageOf, type StageName } from './stages';

export type Source = 'preview' | 'run' | 'stored' | 'recording';

export interface Speed {
  /** In the address; '' is the standard. */
  name: string;
  label: string;
  /** Of a recording. */
  factor: number;
  /** Of a run. */
  restMs: number;
}

export const SPEEDS: readonly Speed[] = [
  { name: 'slowest', label: 'slowest', factor: 0.25, restMs: 3000 },
  { name: 'slow', label: 'slow', factor: 0.5, restMs: 800 },
  { name: '', label: 'full speed', factor: 1, restMs: 0 },
  { name: 'fast', label: '2×', factor: 2, restMs: 0 },
  { name: 'fastest', label: '4×', factor: 4, restMs: 0 },
];

export class LessonShow {
  readonly controls: RunControls;
  /** What a person chose over the run that is there. */
  private chosen = $state<'stored' | 'recording'>();
  player = $state.raw<Player>();
  private past = $state.raw<RunView>();
  loading = $state(false);
  notice = $state.raw<Notice>();
  private readonly foretaste: RunView;
  readonly previewOf: Recording['about'];
  private paceMs = 0;

  constructor(private readonly playground: Playground) {
    this.controls = new RunControls(playground, undefined);
    const recorded = asRecording(preview);
    this.previewOf = recorded.about;
    this.foretaste = this.emptyRun(recorded);
    for (const [, event] of recorded.events) this.foretaste.accept(event);
    if (playground.run.runId === '') void this.recall();
  }

  readonly source = $derived.by((): Source => {
    if (this.chosen === 'recording' && this.player !== undefined) return 'recording';
    if (this.playground.run.runId !== '' || this.playground.preparing) return 'run';
    return this.chosen === 'stored' && this.past !== undefined ? 'stored' : 'preview';
  });

  readonly run = $derived.by((): RunView => {
    switch (this.source) {
      case 'recording':
        return this.player!.run;
      case 'stored':
        return this.past!;
      case 'run':
        return this.playground.run;
      case 'preview':
        return this.foretaste;
    }
  });

  /** The stage that the run is in. */
  readonly now = $derived.by((): StageName => (this.source === 'preview' ? 'demonstrations' : stageOf(this.run)));
  /** The stage that is looked at: the run's, unless a person looks at another one. */
  readonly shown = $derived.by((): StageName => {
    const wanted = this.playground.address.get('view');
    return isStage(wanted) ? wanted : this.now;
  });
  readonly follows = $derived.by(() => !isStage(this.playground.address.get('view')));

  /** Things move: letters are written while it goes on, and rest with it. */
  readonly moving = $derived.by(() => {
    if (this.source === 'recording') return this.player!.playing;
    if (this.source === 'run') return this.playground.run.state === 'running';
    return this.source === 'preview';
  });

  /** As a state of a run, a recording's too. */
  readonly state = $derived.by((): RunState => {
    if (this.source === 'recording')
      return this.player!.ended ? 'finished' : this.player!.playing ? 'running' : 'paused';
    return this.source === 'preview' ? 'idle' : this.run.state;
  });

  readonly speed = $derived.by((): Speed => {
    const wanted = this.playground.address.get('speed');
    return SPEEDS.find(({ name }) => name === wanted) ?? SPEEDS.find(({ name }) => name === '')!;
  });
  /** A run goes no faster than it can. */
  readonly speeds = $derived.by(() =>
    this.source === 'recording' ? SPEEDS : SPEEDS.filter(({ factor }) => factor <= 1),
  );

  /** Stages that are over, of what is shown. */
  isOver(name: StageName): boolean {
    const order = STAGES.map((stage) => stage.name);
    if (this.state === 'finished') return true;
    return this.source !== 'preview' && order.indexOf(name) < order.indexOf(this.now);
  }

  /** Looks at a stage; of a recording it goes there. At the present one it follows again. */
  look(name: StageName | undefined): void {
    if (this.source === 'recording' && name !== undefined) {
      this.player!.seekStage(name);
      this.playground.address.set({ view: undefined });
    } else {
      this.playground.address.set({ view: name === this.now ? undefined : name });
    }
  }

  start(): void {
    this.chosen = undefined;
    this.player?.pause();
    this.playground.address.set({ view: undefined });
    void this.playground.startRun();
  }

  async watch(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    this.notice = undefined;
    try {
      this.player ??= await this.makePlayer();
      this.chosen = 'recording';
      this.playground.address.set({ view: undefined });
      this.setSpeed(this.speed.name);
      this.player.play();
    } catch (error) {
      this.notice = toNotice(error);
    } finally {
      this.loading = false;
    }
  }

  /** From the recording back to what is there besides. */
  leaveRecording(): void {
    this.player?.pause();
    this.chosen = this.past === undefined ? undefined : 'stored';
    this.playground.address.set({ view: undefined });
  }

  setSpeed(name: string): void {
    this.playground.address.set({ speed: name });
    if (this.player !== undefined) this.player.factor = this.speed.factor;
    void this.applyPace();
  }

  /** Tells the session how fast to go; to be called again when a run begins. A session that rests is not woken for it. */
  async applyPace(): Promise<void> {
    const { run, session } = this.playground;
    const { restMs } = this.speed;
    if (restMs === this.paceMs || !run.active) return;
    this.paceMs = restMs;
    try {
      await session.setPace({ restMs });
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** The newest run that this browser finished: shown again, without waking the GPU. */
  private async recall(): Promise<void> {
    const { address, stored, session } = this.playground;
    const named = address.get('run').split(',')[0] ?? '';
    const runId = named === '' ? stored.lastFinished() : named;
    if (runId === '') return;
    try {
      const history = await session.runHistory(runId);
      if (history === undefined) {
        if (named === '') stored.forgetFinished();
        else
          this.notice = {
            code: 'storage',
            message: `This browser keeps no run ${runId}.`,
            hint: 'It may be kept by another one, or was deleted.',
          };
        return;
      }
      const past = new RunView(session);
      past.restore(runId, (history.experiment as { name?: string }).name ?? runId, history);
      if (history.phase === 'report') past.state = 'finished';
      this.past = past;
      this.chosen ??= 'stored';
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  private async makePlayer(): Promise<Player> {
    const recording = await fetchRecording();
    return new Player(recording, () => this.emptyRun(recording));
  }

  private emptyRun({ about }: Recording): RunView {
    const run = new RunView(this.playground.session);
    run.runId = 'recording';
    run.name = about.name;
    run.trainedTasks = about.trainedTasks;
    return run;
  }
}
