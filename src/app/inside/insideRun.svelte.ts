// insideRun.svelte.ts: which run Inside looks into, what it was made from, and when its files are to be read again. It reads
// none of them but the report.
import type { StoredRun } from '../../session/protocol';
import type { Playground } from '../state/playground.svelte';
import type { Needs, RunSource } from '../state/runPlaces.svelte';

/** As much of report.json as is needed here. */
export interface ReportedRun {
  experiment?: unknown;
  pairs?: { counts: Record<string, number> };
  demonstrations?: unknown;
}

export interface RunOption {
  runId: string;
  /** Its name, when, and how far it is. */
  words: string;
}

/** Runs that Inside can show, and the one that it shows. */
export class InsideRun {
  /** The live run, then the stored ones, newest first. */
  readonly options = $derived.by((): RunOption[] => {
    const { run, stored } = this.playground;
    const others = newestFirst(stored.runs).filter(({ runId }) => runId !== run.runId);
    const own =
      run.runId === '' ? [] : [{ runId: run.runId, words: `${run.name}, ${run.active ? 'live' : run.state}` }];
    return [...own, ...others.map((one) => ({ runId: one.runId, words: `${one.name}, ${stateWords(one)}` }))];
  });

  /** The address's; else the live one, else the newest. '' where there is none. */
  readonly runId = $derived.by((): string => {
    const [named = ''] = this.playground.address.get('run').split(',');
    return named !== '' ? named : (this.options[0]?.runId ?? '');
  });

  readonly known = $derived.by(() => this.options.some(({ runId }) => runId === this.runId));
  readonly live = $derived.by(() => {
    const { run } = this.playground;
    return this.runId !== '' && run.runId === this.runId && run.active;
  });
  /** Before stored runs are listed, one that is not among the options may still be there. */
  readonly listed = $derived.by(() => this.playground.stored.listed);

  /** Changes whenever the run has written files: a run does so at the end of each phase and when it ends. */
  readonly revision = $derived.by((): string => {
    const { run, stored } = this.playground;
    if (run.runId === this.runId) return `${run.finishedPhases.length} ${run.active ? 'live' : run.state}`;
    return stored.runs.find(({ runId }) => runId === this.runId)?.updatedAt ?? '';
  });

  constructor(readonly playground: Playground) {}

  choose(runId: string): void {
    const changes = { run: runId, item: undefined, q: undefined, filter: undefined, task: undefined };
    this.playground.address.set({ ...changes, compare: undefined }, 'push');
  }

  /** The paths of its files; none where this browser does not have it. */
  paths(): Promise<string[]> {
    return this.runId === '' ? Promise.resolve([]) : this.playground.session.listArtefacts(this.runId);
  }

  /** report.json; undefined before the run has ended. */
  async report(): Promise<ReportedRun | undefined> {
    const { session } = this.playground;
    const { runId } = this;
    if (!(await this.paths()).includes('report.json')) return undefined;
    return JSON.parse(new TextDecoder().decode(await session.artefact(runId, 'report.json'))) as ReportedRun;
  }

  /** The experiment that the run was started with. */
  experiment(): Promise<unknown> {
    return this.playground.places.experiment(this.runId);
  }

  /** The same, and where its files are. Throws `source` naming those that lie elsewhere. */
  source(needs: Needs): Promise<RunSource> {
    return this.playground.places.source(this.runId, needs);
  }
}

const newestFirst = (runs: readonly StoredRun[]): StoredRun[] =>
  [...runs].sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1));

const stateWords = ({ state, updatedAt }: StoredRun): string => `${state}, ${updatedAt.slice(0, 16).replace('T', ' ')}`;

/** The one that all tabs share. */
export const insideRunOf = (playground: Playground): InsideRun =>
  playground.part('inside-run', () => new InsideRun(playground));
