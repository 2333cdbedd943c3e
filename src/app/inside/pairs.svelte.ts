// pairs.svelte.ts: the preference pairs of a run as Inside shows them: searched, filtered, one of them chosen. What is chosen is
// in the address.
import type { PairCase } from '../../config/pairCases';
import type { Playground } from '../state/playground.svelte';
import { AddressField } from './addressField.svelte';
import { ArtefactRows } from './artefactRows.svelte';
import { insideRunOf, type InsideRun } from './insideRun.svelte';
import { PairHeat } from './pairHeat.svelte';
import { filterPairs, PAIR_FILTER_CASES, readPair, type PairFilter, type PairRow } from './pairRows';

/** What a token's tint says: log π − log π_ref, or one of the two. */
export const HEATS = ['ratio', 'policy', 'reference'] as const;
export type Heat = (typeof HEATS)[number];

const FROM = ['student', 'teacher'];
const SPLITS = ['training', 'validation'];

export class PairsState {
  readonly inside: InsideRun;
  readonly file: ArtefactRows<PairRow>;
  readonly heat: PairHeat;
  readonly search: AddressField;
  private readonly item: AddressField;
  /** Counts of the cases, of a run that has ended; a live one tells its own. */
  private reported = $state.raw<Record<string, number>>();
  direction = $state<'cot' | 'answer'>('cot');

  readonly filter = $derived.by((): PairFilter => {
    const { address } = this.inside.playground;
    const words = address.get('filter').split(',');
    const one = (of: readonly string[]): string => of.find((name) => words.includes(name)) ?? '';
    return {
      search: this.search.value,
      task: address.get('task'),
      from: one(FROM),
      split: one(SPLITS),
      case: one(PAIR_FILTER_CASES),
    };
  });
  readonly shown = $derived.by(() => filterPairs(this.file.rows, this.filter));
  readonly tasks = $derived.by(() => [...new Set(this.file.rows.map(({ taskId }) => taskId))]);
  readonly counts = $derived.by((): Partial<Record<PairCase, number>> | undefined => {
    const { run } = this.inside.playground;
    return run.runId === this.inside.runId && run.pairs !== undefined ? run.pairs : this.reported;
  });
  /** Among those that are shown; -1 where the chosen one is not among them. */
  readonly at = $derived.by(() => {
    const index = Number(this.item.value);
    return this.item.value === ''
      ? Math.min(0, this.shown.length - 1)
      : this.shown.findIndex((row) => row.index === index);
  });
  readonly chosen = $derived.by((): PairRow | undefined => this.shown[this.at]);
  readonly tint = $derived.by((): Heat => {
    const named = this.inside.playground.address.get('metric');
    return HEATS.find((heat) => heat === named) ?? 'ratio';
  });

  constructor(playground: Playground) {
    this.inside = insideRunOf(playground);
    this.file = new ArtefactRows(playground.session, 'pairs.jsonl', readPair);
    this.heat = new PairHeat(this.inside);
    this.search = new AddressField(playground.address, 'q');
    this.item = new AddressField(playground.address, 'item');
  }

  /** Reads what the run has written by now. */
  async show(runId: string, revision: string): Promise<void> {
    this.heat.use(runId, revision);
    await Promise.all([this.file.show(runId, revision), this.readAbout()]);
  }

  choose(index: number): void {
    const row = this.shown[index];
    if (row !== undefined) this.item.value = String(row.index);
  }

  setFilter(changes: Partial<Omit<PairFilter, 'search'>>): void {
    const { task, ...words } = { ...this.filter, ...changes };
    const filter = [words.from, words.split, words.case].filter((word) => word !== '').join(',');
    this.inside.playground.address.set({ task, filter });
  }

  setTint(heat: Heat): void {
    this.inside.playground.address.set({ metric: heat === 'ratio' ? undefined : heat });
  }

  /** The chosen pair, and the next ones of the list. */
  measure(more = 0): Promise<void> {
    const { at } = this;
    return this.heat.measure(this.shown.slice(Math.max(0, at), at + 1 + more).map(({ index }) => index));
  }

  leave(): void {
    this.search.write();
    this.item.write();
  }

  /** Counts and direction; without them the pairs are shown all the same. */
  private async readAbout(): Promise<void> {
    try {
      const report = await this.inside.report();
      this.reported = report?.pairs?.counts;
      const { phases } = (await this.inside.experiment()) as { phases?: { selfRefine?: { direction?: string } } };
      this.direction = phases?.selfRefine?.direction === 'answer' ? 'answer' : 'cot';
    } catch {
      // The file of pairs says what is wrong, where anything is.
    }
  }
}
