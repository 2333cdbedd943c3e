// runList.svelte.ts: the stored runs as a list: which are shown (a search text in the address), in which order, and what is being
// done to one of them. Runs themselves are state/storedRuns.svelte.ts; which are chosen, choice.svelte.ts.
import type { RunOverview, StoredRun } from '../../session/protocol';
import type { Playground } from '../state/playground.svelte';
import { resultsChoice } from './choice.svelte';
import { machineWords, stateWord, studentWords, titleOf, type StateWord } from './runWords';

export const ORDERS = [
  { key: 'when', label: 'newest first' },
  { key: 'name', label: 'name' },
  { key: 'accuracy', label: 'accuracy' },
  { key: 'size', label: 'size' },
  { key: 'state', label: 'state' },
] as const;
export type OrderKey = (typeof ORDERS)[number]['key'];

/** One row of the list. */
export interface ListedRun {
  run: StoredRun;
  title: string;
  state: StateWord;
  /** It goes on here, or in another tab: nothing can be done to it. */
  active: boolean;
  overview: RunOverview | undefined;
  sizeBytes: number;
}

export class RunList {
  order = $state<OrderKey>('when');
  /** The runs that are to be deleted, once a person has confirmed it. */
  deleting = $state.raw<readonly string[]>([]);
  /** The run that gets another name. */
  renaming = $state('');

  constructor(private readonly playground: Playground) {}

  readonly query = $derived.by(() => this.playground.address.get('q'));
  readonly all = $derived.by(() => this.playground.stored.runs.map((run) => this.listed(run)));

  /** Every word of the search text must be somewhere in what the row says. */
  readonly shown = $derived.by((): ListedRun[] => {
    const words = this.query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.all.filter((row) => words.every((word) => textOf(row).includes(word)));
    return found.sort(COMPARE[this.order]);
  });

  search(text: string): void {
    this.playground.address.set({ q: text });
  }

  find(runId: string): ListedRun | undefined {
    return this.all.find(({ run }) => run.runId === runId);
  }

  /** What deletion would take, in bytes. */
  readonly deletingBytes = $derived.by(() =>
    this.deleting.reduce((sum, runId) => sum + (this.find(runId)?.sizeBytes ?? 0), 0),
  );

  /** Deletes what was asked for; those that go on somewhere stay. */
  async deleteAsked(): Promise<void> {
    const asked = this.deleting.filter((runId) => this.find(runId)?.active === false);
    this.deleting = [];
    for (const runId of asked) {
      await this.playground.removeRun(runId);
      // Else the list would say that this browser lacks a run which the person just deleted.
      if (this.find(runId) === undefined) resultsChoice(this.playground).toggle(runId, false);
    }
  }

  async rename(runId: string, label: string): Promise<void> {
    if (await this.playground.stored.rename(runId, label)) this.renaming = '';
  }

  private listed(run: StoredRun): ListedRun {
    const { stored, run: live } = this.playground;
    const here = live.active && live.runId === run.runId;
    const held = stored.held.has(run.runId);
    const overview = stored.overviews.get(run.runId);
    return {
      run,
      title: titleOf(run),
      state: stateWord(run, { here, held }),
      active: here || held,
      overview,
      sizeBytes: overview === undefined ? run.sizeBytes : overview.filesBytes + overview.checkpointBytes,
    };
  }
}

/** Mean over tasks of the furthest system's accuracy; −1 where nothing was evaluated. */
function accuracyOf({ overview }: ListedRun): number {
  const rows = overview?.headline ?? [];
  return rows.length === 0 ? -1 : rows.reduce((sum, { correct, n }) => sum + correct / n, 0) / rows.length;
}

const newer = (a: ListedRun, b: ListedRun): number => (a.run.updatedAt < b.run.updatedAt ? 1 : -1);
const COMPARE: Readonly<Record<OrderKey, (a: ListedRun, b: ListedRun) => number>> = {
  when: newer,
  name: (a, b) => a.title.localeCompare(b.title) || newer(a, b),
  accuracy: (a, b) => accuracyOf(b) - accuracyOf(a) || newer(a, b),
  size: (a, b) => b.sizeBytes - a.sizeBytes,
  state: (a, b) => a.state.localeCompare(b.state) || newer(a, b),
};

function textOf({ run, title, state, overview }: ListedRun): string {
  const words = [title, run.name, run.runId, state, run.phase, run.imported === undefined ? '' : 'imported'];
  if (overview !== undefined) {
    words.push(`seed ${overview.seed}`, machineWords(overview), studentWords(overview));
    words.push(...overview.headline.map(({ taskId }) => taskId));
  }
  return words.join(' ').toLowerCase();
}
