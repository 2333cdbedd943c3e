// run.svelte.ts: the run that is going on, as the page sees it: its phase, curves, samples, pairs, results and log. It only
// takes in events and passes on commands; nothing is computed here that a report would contain.
import { SvelteMap } from 'svelte/reactivity';
import type { Progress } from '../../base/progress';
import { parseExperiment } from '../../config/experiment';
import type {
  EvaluationRow,
  PhaseName,
  RunHistory,
  RunRequest,
  RunState as RunStateName,
  RunSummary,
  SessionApi,
  SessionEvent,
} from '../../session/protocol';
import { RunClock } from '../lab/runClock.svelte';
import { toNotice, type Notice } from './notice';
import { Story } from './story.svelte';

export type SampleEvent = Extract<SessionEvent, { type: 'sample' }>;

/** One point of a curve. */
export interface MetricsPoint {
  step: number;
  values: Record<string, number>;
}

const MAX_SAMPLES = 24;
const MAX_LOG = 400;

const PHASES: readonly { name: PhaseName; label: string }[] = [
  { name: 'load', label: 'Load' },
  { name: 'baseline', label: 'Baselines' },
  { name: 'instruct', label: 'Instruction-tuning' },
  { name: 'control', label: 'Control' },
  { name: 'generate-pairs', label: 'Preference pairs' },
  { name: 'self-refine', label: 'Self-refine' },
  { name: 'evaluate', label: 'Evaluation' },
  { name: 'report', label: 'Report' },
];

export class RunView {
  runId = $state('');
  name = $state('');
  state = $state<RunStateName>('idle');
  phase = $state<PhaseName>();
  finishedPhases = $state<PhaseName[]>([]);
  progress = $state.raw<Progress>();
  step = $state(0);
  totalSteps = $state(0);
  latest = $state.raw<Record<string, number>>({});
  gpuBytes = $state(0);
  /** What lies on the GPU now, by arena, the largest first. */
  memory = $state.raw<{ totalBytes: number; peakBytes: number; parts: readonly [string, number][] }>();
  /** A command that the run has not come round to yet: it ends its step or batch first. */
  pending = $state<'pause' | 'step' | 'stop'>();
  /** The run ends with its present phase. */
  stopsAtPhaseEnd = $state(false);
  /** How far it is and how long it takes. */
  readonly clock = new RunClock();
  /** Its texts: demonstrations, answers, pairs. */
  readonly story = new Story();
  samples = $state.raw<readonly SampleEvent[]>([]);
  pairs = $state.raw<Record<string, number>>();
  rows = $state.raw<readonly EvaluationRow[]>([]);
  /** Names of the tasks whose demonstrations the run trains on; the others are evaluated only. */
  trainedTasks = $state.raw<readonly string[]>([]);
  log = $state.raw<readonly { level: 'info' | 'warning'; message: string }[]>([]);
  checkpoint = $state.raw<{ phase: PhaseName; step: number; sizeBytes: number }>();
  summary = $state.raw<RunSummary>();
  notice = $state.raw<Notice>();
  /** Rises whenever a curve has grown; charts redraw on it. The points themselves are not reactive: there are many. */
  readonly revisions = new SvelteMap<PhaseName, number>();
  /** Names of the metrics that came in a phase, as they came. */
  readonly metricNames = new SvelteMap<PhaseName, readonly string[]>();
  private points = new Map<PhaseName, MetricsPoint[]>();

  /** Those of this run: few have a control, and it shows once it has begun. */
  readonly phases = $derived(
    PHASES.filter(({ name }) => name !== 'control' || this.phase === name || this.finishedPhases.includes(name)),
  );

  readonly active = $derived(this.state === 'running' || this.state === 'paused');

  constructor(private readonly session: SessionApi) {}

  /** Points of a phase in order of steps. */
  pointsOf(phase: PhaseName): readonly MetricsPoint[] {
    return this.points.get(phase) ?? [];
  }

  /** Runs to its end. Never rejects: what goes wrong is in `notice`. */
  async start(request: RunRequest, name: string): Promise<void> {
    this.reset(request.runId, name);
    try {
      this.trainedTasks = trainedTasks(request.experiment);
      this.summary = await this.session.run(request, (event) => this.accept(event));
      this.state = this.summary.state;
      if (this.summary.error !== undefined) this.notice = this.summary.error;
    } catch (error) {
      this.state = 'failed';
      this.notice = toNotice(error);
    }
    this.pending = undefined;
  }

  /** A run that rests, as its checkpoint knows it: to be looked at, and resumed. */
  restore(runId: string, name: string, { experiment, phase, step, history, shown }: RunHistory): void {
    this.reset(runId, name);
    this.trainedTasks = trainedTasks(experiment);
    this.accept(history);
    for (const event of shown) this.accept(event);
    this.phase = phase;
    this.step = step;
    this.state = 'stopped';
  }

  /** pause, resume, step or stop; a refusal is shown, not thrown. */
  async command(name: 'pause' | 'resume' | 'step' | 'stop'): Promise<void> {
    this.pending = name === 'resume' ? undefined : name;
    try {
      await this.session[name]();
    } catch (error) {
      this.pending = undefined;
      this.notice = toNotice(error);
    }
  }

  /** Ends the run with its present phase, or not after all. */
  async stopAtPhaseEnd(on: boolean): Promise<void> {
    try {
      await this.session.stopAtPhaseEnd(on);
      this.stopsAtPhaseEnd = on;
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  accept(event: SessionEvent): void {
    this.clock.accept(event, performance.now());
    this.story.accept(event);
    switch (event.type) {
      case 'history':
        this.finishedPhases = ['load', ...event.finished];
        for (const row of event.metrics) this.acceptMetrics({ type: 'metrics', ...row });
        this.rows = event.evaluations;
        this.pairs = event.pairs;
        this.log = event.log.slice(-MAX_LOG);
        return;
      case 'phase':
        if (event.state === 'start') {
          this.phase = event.phase;
          this.progress = undefined;
        } else if (!this.finishedPhases.includes(event.phase)) this.finishedPhases.push(event.phase);
        return;
      case 'progress':
        this.progress = event.progress;
        return;
      case 'metrics':
        return this.acceptMetrics(event);
      case 'sample':
        this.samples = [event, ...this.samples].slice(0, MAX_SAMPLES);
        return;
      case 'pairs':
        this.pairs = event.counts;
        return;
      case 'evaluation':
        this.rows = [...this.rows.filter((row) => !sameRow(row, event.row)), event.row];
        return;
      case 'checkpoint':
        this.checkpoint = { phase: event.phase, step: event.step, sizeBytes: event.sizeBytes };
        return;
      case 'memory':
        this.memory = event;
        this.gpuBytes = event.totalBytes;
        return;
      case 'state':
        this.state = event.state;
        if (event.state !== 'running') this.pending = undefined;
        return;
      case 'log':
        this.log = [...this.log, { level: event.level, message: event.message }].slice(-MAX_LOG);
        return;
    }
  }

  private acceptMetrics(event: Extract<SessionEvent, { type: 'metrics' }>): void {
    this.step = event.step;
    this.totalSteps = event.totalSteps;
    this.latest = { ...this.latest, ...event.values };
    const known = this.metricNames.get(event.phase) ?? [];
    const fresh = Object.keys(event.values).filter((name) => !known.includes(name));
    if (fresh.length > 0) this.metricNames.set(event.phase, [...known, ...fresh]);
    if (event.values['gpu_bytes'] !== undefined) this.gpuBytes = event.values['gpu_bytes'];
    const points = this.points.get(event.phase) ?? [];
    const last = points.at(-1);
    // A resumed run repeats the steps after its checkpoint; validation comes as a second event of the same step.
    if (last !== undefined && last.step === event.step) points[points.length - 1] = merged(last, event);
    else {
      const kept = last !== undefined && last.step > event.step ? points.filter((p) => p.step < event.step) : points;
      kept.push({ step: event.step, values: event.values });
      this.points.set(event.phase, kept);
    }
    this.revisions.set(event.phase, (this.revisions.get(event.phase) ?? 0) + 1);
  }

  private reset(runId: string, name: string): void {
    this.runId = runId;
    this.name = name;
    this.state = 'running';
    this.phase = undefined;
    this.finishedPhases = [];
    this.progress = undefined;
    this.step = 0;
    this.totalSteps = 0;
    this.latest = {};
    this.gpuBytes = 0;
    this.memory = undefined;
    this.pending = undefined;
    this.stopsAtPhaseEnd = false;
    this.clock.reset();
    this.samples = [];
    this.story.reset();
    this.pairs = undefined;
    this.rows = [];
    this.trainedTasks = [];
    this.log = [];
    this.checkpoint = undefined;
    this.summary = undefined;
    this.notice = undefined;
    this.points = new Map();
    this.revisions.clear();
    this.metricNames.clear();
  }
}

function trainedTasks(document: unknown): string[] {
  const { tasks } = parseExperiment(document);
  return tasks.filter(({ use }) => use.some((what) => what !== 'evaluate')).map(({ name }) => name);
}

function merged(point: MetricsPoint, event: { values: Record<string, number> }): MetricsPoint {
  return { step: point.step, values: { ...point.values, ...event.values } };
}

function sameRow(a: EvaluationRow, b: EvaluationRow): boolean {
  return a.system === b.system && a.taskId === b.taskId && a.prompt === b.prompt && a.scorer === b.scorer;
}
