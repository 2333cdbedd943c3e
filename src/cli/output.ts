// output.ts: what a verb says, to a person or to a machine. Results go to stdout; what is on the way (progress, notes,
// errors) goes to stderr, so that a pipe gets results only. With --json stdout is one JSON object a line and nothing else.
import { PupilError, toPlainError } from '../base/errors';
import type { Progress } from '../base/progress';
import type { EvaluationRow, PretrainStep, SessionEvent, TeachEvent } from '../session/protocol';

export interface OutputStreams {
  out: NodeJS.WritableStream;
  err: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
}

/** How often a line of progress is written where there is no terminal to draw a bar on. */
const PLAIN_PROGRESS_MS = 10_000;
const BAR_MS = 100;
/** Silence after which a person is told that the work goes on: compiling shaders for a CPU takes long and says nothing. */
const SILENCE_MS = 15_000;

export class Output {
  private bar = '';
  private drawnAt = 0;
  private plainAt = 0;
  private spokeAt = Date.now();
  private lastProgress = '';
  /** Stands before every progress, e.g. which run of how many. */
  progressPrefix = '';
  private readonly watch: ReturnType<typeof setInterval> | undefined;

  constructor(
    readonly json: boolean,
    private readonly streams: OutputStreams = { out: process.stdout, err: process.stderr },
  ) {
    const startedAt = Date.now();
    if (json) return;
    this.watch = setInterval(() => this.breakSilence(startedAt), 1000);
    this.watch.unref(); // it alone keeps no process alive
  }

  /** A result: an object for machines, text for people. */
  result(type: string, value: Record<string, unknown>, human: () => string): void {
    this.clearBar();
    this.spokeAt = Date.now();
    this.streams.out.write(this.json ? `${JSON.stringify({ type, ...value })}\n` : `${human()}\n`);
  }

  /** A part of a result for people, as it stands: a text that comes piece by piece. */
  write(text: string): void {
    this.clearBar();
    this.spokeAt = Date.now();
    this.streams.out.write(text);
  }

  /** A remark on the way. Machines get it as `{"type":"note"}` on stderr's behalf: not at all. */
  note(text: string): void {
    this.clearBar();
    this.spokeAt = Date.now();
    this.streams.err.write(`${text}\n`);
  }

  /** An error with its hint, and its code for machines. */
  error(error: unknown): void {
    this.clearBar();
    const plain = toPlainError(error);
    if (this.json) {
      const { stack: _stack, ...rest } = plain;
      this.streams.out.write(`${JSON.stringify({ type: 'error', ...rest })}\n`);
    }
    const text = error instanceof PupilError ? error.fullText : plain.message;
    this.streams.err.write(`pupil: ${text}\n`);
    if (plain.code === 'internal' && plain.stack !== undefined) this.streams.err.write(`${plain.stack}\n`);
  }

  /** How far something is: a bar on a terminal, a line now and then elsewhere. */
  progress(progress: Progress, detail = ''): void {
    if (this.json) return;
    const now = Date.now();
    this.lastProgress = this.progressPrefix + progressText(progress, detail);
    const finished = progress.total !== undefined && progress.done >= progress.total;
    if (this.streams.err.isTTY === true) {
      if (now - this.drawnAt < BAR_MS && !finished) return;
      this.drawnAt = now;
      this.drawBar(this.lastProgress);
      this.spokeAt = now;
    } else if (now - this.plainAt >= PLAIN_PROGRESS_MS) {
      this.plainAt = now;
      this.spokeAt = now;
      this.streams.err.write(`${this.lastProgress}\n`);
    }
  }

  /** Says that the work goes on where nothing has been said for a while. */
  private breakSilence(startedAt: number): void {
    const now = Date.now();
    if (now - this.spokeAt < SILENCE_MS) return;
    const after = this.lastProgress === '' ? '' : `, last: ${this.lastProgress}`;
    const text = `still working after ${Math.round((now - startedAt) / 1000)} s${after}`;
    if (this.streams.err.isTTY === true) this.drawBar(text);
    else {
      this.spokeAt = now;
      this.streams.err.write(`${text}\n`);
    }
  }

  /** An event of a run, in order. */
  event(event: SessionEvent): void {
    if (this.json) {
      this.streams.out.write(`${JSON.stringify(event)}\n`);
      return;
    }
    switch (event.type) {
      case 'history':
        for (const row of event.evaluations) this.note(`  ${rowText(row)}`);
        return;
      case 'phase':
        if (event.state !== 'start') return;
        this.lastProgress = ''; // of the phase before
        return this.note(`— ${PHASES[event.phase]}`);
      case 'progress':
        return this.progress(event.progress);
      case 'metrics':
        return this.progress(
          { task: PHASES[event.phase], done: event.step, total: event.totalSteps, unit: 'steps' },
          metricsText(event.values),
        );
      case 'evaluation':
        return this.note(`  ${rowText(event.row)}`);
      case 'log':
        return this.note(event.level === 'warning' ? `  warning: ${event.message}` : `  ${event.message}`);
      case 'state':
        if (event.state === 'paused' || event.state === 'stopped') this.note(`  ${event.state}`);
        return;
      // Counts of pairs are in the log with their meaning; the others are for machines and pages.
      case 'demonstration':
      case 'sampled':
      case 'pair':
      case 'pairs':
      case 'sample':
      case 'checkpoint':
        return;
    }
  }

  /** A step of pretraining. */
  pretrainStep(step: PretrainStep): void {
    if (this.json) this.streams.out.write(`${JSON.stringify({ type: 'pretrain-step', ...step })}\n`);
    else {
      const { step: done, totalSteps: total, values } = step;
      this.progress({ task: 'Pretraining', done, total, unit: 'steps' }, metricsText(values));
    }
  }

  /** An event of a teacher at work. */
  teachEvent(event: TeachEvent): void {
    if (this.json) {
      this.streams.out.write(`${JSON.stringify(event)}\n`);
      return;
    }
    if (event.type === 'log') this.note(event.level === 'warning' ? `warning: ${event.message}` : `  ${event.message}`);
    if (event.type === 'teach-progress') {
      const { done, total, failed, running, limit, spent, cost, secondsLeft } = event;
      const detail = [
        ...(failed > 0 ? [`${failed} failed`] : []),
        `${running} of ${limit} at once`,
        cost === undefined ? `${spent.prompt + spent.completion} tokens` : `cost ${cost.toFixed(4)}`,
        ...(secondsLeft === undefined ? [] : [`${Math.ceil(secondsLeft)} s left`]),
      ];
      this.progress({ task: 'Asking', done, total, unit: 'requests' }, detail.join('  '));
    }
  }

  /** Removes the bar, so that whatever comes next starts on a clean line. */
  close(): void {
    clearInterval(this.watch);
    this.clearBar();
  }

  private drawBar(text: string): void {
    const width = (this.streams.err.columns ?? 80) - 1;
    this.bar = text.length > width ? text.slice(0, width) : text;
    this.streams.err.write(`\r\u001b[K${this.bar}`);
  }

  private clearBar(): void {
    if (this.bar === '') return;
    this.bar = '';
    this.streams.err.write('\r\u001b[K');
  }
}

export const PHASES = {
  load: 'Loading',
  baseline: 'Baselines',
  instruct: 'Instruction-tuning',
  control: 'Control',
  'generate-pairs': 'Generating pairs',
  'self-refine': 'Self-refine',
  evaluate: 'Evaluation',
  report: 'Report',
} as const;

/** `task [#####.....] 12/40 steps  detail` */
export function progressText({ task, done, total, unit }: Progress, detail = ''): string {
  const tail = detail === '' ? '' : `  ${detail}`;
  const shown = unit === 'bytes' ? `${(done / 2 ** 20).toFixed(1)} MiB` : `${done}`;
  if (total === undefined || total <= 0) return `${task}: ${shown} ${unit === 'bytes' ? '' : unit}${tail}`;
  const filled = Math.round(24 * Math.min(1, done / total));
  const ends = unit === 'bytes' ? `${shown} of ${(total / 2 ** 20).toFixed(1)} MiB` : `${done}/${total} ${unit}`;
  return `${task} [${'#'.repeat(filled)}${'.'.repeat(24 - filled)}] ${ends}${tail}`;
}

function metricsText(values: Record<string, number>): string {
  const named = (key: string, name: string, digits: number): string[] =>
    values[key] === undefined ? [] : [`${name} ${values[key].toFixed(digits)}`];
  return [
    ...named('loss', 'loss', 4),
    ...named('eval_loss', 'development', 4),
    ...named('rewards/margins', 'margin', 3),
    ...named('rewards/accuracies', 'pairs right', 2),
    ...named('tokens_per_second', 'tokens/s', 0),
  ].join('  ');
}

/** `Self-refined  C  CoT, strict: 98.0 % (93.0 – 99.4), n = 100` */
export function rowText(row: EvaluationRow): string {
  const name = row.system === 'Baseline' && row.prompt === 'cot' ? 'Baseline CoT' : row.system;
  const percent = (share: number): string => (share * 100).toFixed(1);
  const cut = row.cutOff > 0 ? `, ${row.cutOff} cut off` : '';
  const accuracy = row.n === 0 ? 'nothing to evaluate' : `${percent(row.correct / row.n)} %`;
  return (
    `${name.padEnd(18)} ${row.taskId.padEnd(12)} ${(row.prompt === 'cot' ? 'CoT' : 'plain').padEnd(5)} ${row.scorer.padEnd(12)} ` +
    `${accuracy.padStart(7)}  (${percent(row.low)} – ${percent(row.high)})  n = ${row.n}${cut}`
  );
}
