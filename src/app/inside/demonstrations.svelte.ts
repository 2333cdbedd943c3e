// demonstrations.svelte.ts: the demonstrations that a run used, as Inside shows them: searched, filtered, one of them chosen.
// Choosing and editing them before a run is the Lab's business.
import type { Playground } from '../state/playground.svelte';
import { AddressField } from './addressField.svelte';
import { ArtefactRows } from './artefactRows.svelte';
import {
  filterDemonstrations,
  leftOutOf,
  readDemonstration,
  VERDICTS,
  type DemonstrationFilter,
  type DemonstrationRow,
  type LeftOut,
} from './demonstrationRows';
import { insideRunOf, type InsideRun } from './insideRun.svelte';

export class DemonstrationsState {
  readonly inside: InsideRun;
  readonly file: ArtefactRows<DemonstrationRow>;
  readonly search: AddressField;
  private readonly item: AddressField;
  leftOut = $state.raw<readonly LeftOut[]>([]);

  readonly filter = $derived.by((): DemonstrationFilter => {
    const { address } = this.inside.playground;
    const verdict = VERDICTS.find((name) => name === address.get('filter')) ?? '';
    return { search: this.search.value, task: address.get('task'), teacher: address.get('system'), verdict };
  });
  readonly shown = $derived.by(() => filterDemonstrations(this.file.rows, this.filter));
  readonly tasks = $derived.by(() => [...new Set(this.file.rows.map(({ taskId }) => taskId))]);
  readonly teachers = $derived.by(() => [...new Set(this.file.rows.map(({ teacher }) => teacher))]);
  readonly right = $derived.by(() => this.shown.filter(({ correct }) => correct).length);
  readonly at = $derived.by(() => {
    const id = this.item.value;
    return id === '' ? Math.min(0, this.shown.length - 1) : this.shown.findIndex((row) => row.id === id);
  });
  readonly chosen = $derived.by((): DemonstrationRow | undefined => this.shown[this.at]);

  constructor(playground: Playground) {
    this.inside = insideRunOf(playground);
    this.file = new ArtefactRows(playground.session, 'demonstrations.jsonl', readDemonstration);
    this.search = new AddressField(playground.address, 'q');
    this.item = new AddressField(playground.address, 'item');
  }

  async show(runId: string, revision: string): Promise<void> {
    await Promise.all([this.file.show(runId, revision), this.readReport()]);
  }

  choose(index: number): void {
    const row = this.shown[index];
    if (row !== undefined) this.item.value = row.id;
  }

  setFilter(changes: Partial<Omit<DemonstrationFilter, 'search'>>): void {
    const { task, teacher, verdict } = { ...this.filter, ...changes };
    this.inside.playground.address.set({ task, system: teacher, filter: verdict });
  }

  leave(): void {
    this.search.write();
    this.item.write();
  }

  private async readReport(): Promise<void> {
    // Without a report the list says all that there is to say.
    const report = await this.inside.report().catch(() => undefined);
    this.leftOut = leftOutOf(report?.demonstrations);
  }
}
