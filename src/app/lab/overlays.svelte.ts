// overlays.svelte.ts: the curves of stored runs that are laid over those of the run that goes on. Which ones is in the address
// (`overlay`), so a reload keeps them; a run that this browser does not have is named, and nothing else happens.
import type { PhaseName, SessionApi, StoredRun } from '../../session/protocol';
import { toNotice, type Notice } from '../state/notice';
import { DASHES, type MetricPoint } from './metricFigures';

export interface Overlay {
  runId: string;
  name: string;
  /** Absent while it is read, and where it could not be. */
  points?: ReadonlyMap<PhaseName, readonly MetricPoint[]>;
  /** Names of the metrics in each phase. */
  names?: ReadonlyMap<PhaseName, readonly string[]>;
  notice?: Notice;
}

/** One more is the run that goes on. */
export const MOST_OVERLAYS = DASHES.length - 1;

interface Place {
  session: Pick<SessionApi, 'artefact' | 'runHistory'>;
  address: { get(name: 'overlay'): string; set(changes: { overlay: string }): void };
  stored: { readonly runs: readonly StoredRun[] };
}

/** By phase, in the order of the steps. */
export type Points = Map<PhaseName, MetricPoint[]>;
type Row = { phase: PhaseName; step: number; values: Record<string, number> };

export class Overlays {
  private loaded = $state.raw<Readonly<Record<string, Overlay>>>({});
  private readonly asked = new Set<string>();

  /** In the order of the address. */
  readonly ids = $derived.by(() => {
    const all = this.place.address.get('overlay').split(',');
    return [...new Set(all.filter((id) => id !== ''))].slice(0, MOST_OVERLAYS);
  });
  readonly shown = $derived(this.ids.map((id): Overlay => this.loaded[id] ?? { runId: id, name: this.nameOf(id) }));
  /** Those that can be drawn. */
  readonly drawn = $derived(this.shown.filter(({ points }) => points !== undefined));
  readonly full = $derived(this.ids.length >= MOST_OVERLAYS);

  constructor(private readonly place: Place) {}

  set(runId: string, on: boolean): void {
    const others = this.ids.filter((id) => id !== runId);
    this.place.address.set({ overlay: (on ? [...others, runId] : others).join(',') });
  }

  /** Reads what is chosen and has not been read. To be called when the choice or the list of runs changes. */
  async load(): Promise<void> {
    const missing = this.ids.filter((id) => !this.asked.has(id));
    for (const id of missing) this.asked.add(id);
    await Promise.all(missing.map((id) => this.loadOne(id)));
  }

  /** A run may have gone on since: it is read again when it is next shown. */
  forget(runId: string): void {
    if (!this.asked.delete(runId)) return;
    this.loaded = Object.fromEntries(Object.entries(this.loaded).filter(([id]) => id !== runId));
  }

  private nameOf(runId: string): string {
    return this.place.stored.runs.find((run) => run.runId === runId)?.name ?? runId;
  }

  private async loadOne(runId: string): Promise<void> {
    const base: Overlay = { runId, name: this.nameOf(runId) };
    let loaded: Overlay;
    try {
      const known = this.place.stored.runs.find((run) => run.runId === runId);
      const points = await readPoints(this.place.session, runId, known?.state === 'finished');
      loaded =
        points === undefined
          ? {
              ...base,
              notice: {
                code: 'storage',
                message: `This browser has no run ${runId}.`,
                hint: 'It may have been deleted here, or the address was made in another browser: import its export under Results.',
              },
            }
          : { ...base, points, names: namesOf(points) };
    } catch (error) {
      loaded = { ...base, notice: toNotice(error) };
    }
    this.loaded = { ...this.loaded, [runId]: loaded };
  }
}

/** A finished run's rows are a file; those of one that was interrupted are in its checkpoint alone. Undefined where it has none. */
export async function readPoints(
  session: Pick<SessionApi, 'artefact' | 'runHistory'>,
  runId: string,
  finished: boolean,
): Promise<Points | undefined> {
  const ofFile = async (): Promise<Points | undefined> => {
    try {
      return pointsOf(rowsOf(new TextDecoder().decode(await session.artefact(runId, 'metrics.jsonl'))));
    } catch {
      return undefined;
    }
  };
  const ofCheckpoint = async (): Promise<Points | undefined> => {
    const history = await session.runHistory(runId);
    return history && pointsOf(history.history.metrics);
  };
  return finished ? ((await ofFile()) ?? (await ofCheckpoint())) : ((await ofCheckpoint()) ?? (await ofFile()));
}

/** The rows of metrics.jsonl; a line that is none is left out. */
export function rowsOf(text: string): Row[] {
  return text.split('\n').flatMap((line) => {
    if (line.trim() === '') return [];
    try {
      const { phase, step, totalSteps: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
      if (typeof phase !== 'string' || typeof step !== 'number') return [];
      const numbers = Object.entries(rest).filter(([, value]) => typeof value === 'number');
      return [{ phase: phase as PhaseName, step, values: Object.fromEntries(numbers) as Record<string, number> }];
    } catch {
      return [];
    }
  });
}

function namesOf(points: Points): Map<PhaseName, string[]> {
  return new Map(
    [...points].map(([phase, own]) => [phase, [...new Set(own.flatMap(({ values }) => Object.keys(values)))]]),
  );
}

function pointsOf(rows: readonly Row[]): Points {
  const points: Points = new Map();
  for (const { phase, step, values } of rows) {
    const own = points.get(phase) ?? [];
    own.push({ step, values });
    points.set(phase, own);
  }
  return points;
}
