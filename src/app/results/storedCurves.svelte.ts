// storedCurves.svelte.ts: the curves of stored runs, every step of them, read once for each state of a run; and the figures of some of
// them by phase. How a figure looks is curveFigures.ts.
import type { PhaseName, SessionApi, StoredRun } from '../../session/protocol';
import { chosenFigures, figuresOf } from '../lab/metricFigures';
import { readPoints, type Points } from '../lab/overlays.svelte';
import { toNotice, type Notice } from '../state/notice';
import { curveFigures, type CurveRun } from './curveFigures';
import type { PaperFigure } from './paperFigures';
import { PHASE_WORDS } from './runWords';

type Reader = Pick<SessionApi, 'artefact' | 'runHistory'>;
/** A run, and how its figures call it. */
export type NamedRun = Pick<StoredRun, 'runId' | 'state' | 'updatedAt'> & { name: string };

export interface PhaseFigures {
  phase: PhaseName;
  words: string;
  figures: PaperFigure[];
  /** Those that tell less of how training goes. */
  more: PaperFigure[];
}

const ORDER: readonly PhaseName[] = ['instruct', 'control', 'self-refine'];

export class StoredCurves {
  private read = $state.raw<ReadonlyMap<string, Points | 'reading'>>(new Map());
  notice = $state.raw<Notice>();

  constructor(private readonly session: Reader) {}

  /** Reads those that were not read as they are now. */
  async load(runs: readonly NamedRun[]): Promise<void> {
    const missing = runs.filter((run) => !this.read.has(keyOf(run)));
    if (missing.length === 0) return;
    this.read = new Map([...this.read, ...missing.map((run) => [keyOf(run), 'reading'] as const)]);
    await Promise.all(missing.map((run) => this.loadOne(run)));
  }

  /** Whether one of them is still being read. */
  reading(runs: readonly NamedRun[]): boolean {
    return runs.some((run) => this.read.get(keyOf(run)) === 'reading');
  }

  /** The figures of these runs; of several, those of a phase that any of them has. */
  phases(runs: readonly NamedRun[]): PhaseFigures[] {
    const known = runs.map((run): { name: string; points: Points } => {
      const points = this.read.get(keyOf(run));
      return { name: run.name, points: points === undefined || points === 'reading' ? new Map() : points };
    });
    const phases = [...new Set(known.flatMap(({ points }) => [...points.keys()]))];
    phases.sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
    return phases.map((phase) => {
      const own = known.map(({ name, points }): CurveRun => ({ name, points: points.get(phase) ?? [] }));
      const all = figuresOf(new Set(own.flatMap(({ points }) => points.flatMap(({ values }) => Object.keys(values)))));
      const main = chosenFigures('', all);
      const words = PHASE_WORDS[phase] ?? phase;
      const drawn = (isMain: boolean): PaperFigure[] =>
        curveFigures(
          words,
          own,
          all.filter(({ id }) => main.has(id) === isMain),
        );
      return { phase, words, figures: drawn(true), more: drawn(false) };
    });
  }

  private async loadOne(run: NamedRun): Promise<void> {
    let points: Points = new Map();
    try {
      points = (await readPoints(this.session, run.runId, run.state === 'finished')) ?? points;
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.read = new Map([...this.read, [keyOf(run), points]]);
  }
}

const keyOf = ({ runId, updatedAt }: NamedRun): string => `${runId} ${updatedAt}`;
