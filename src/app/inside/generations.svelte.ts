// generations.svelte.ts: the answers of a run's systems side by side, as Inside shows them: two ways of answering compared,
// items filtered by how their verdicts changed, one of them chosen. All of it is in the address.
import type { Playground } from '../state/playground.svelte';
import { AddressField } from './addressField.svelte';
import { answersOf, changeOf, CHANGES, compare, defaultPair, readAnswer, type Change, type Item } from './answers';
import type { AnswerLineRow } from './answers';
import { ArtefactRows } from './artefactRows.svelte';
import { insideRunOf, type InsideRun } from './insideRun.svelte';

/** Between the two in the address; no way of answering has it in its name. */
const BETWEEN = '~';

export class GenerationsState {
  readonly inside: InsideRun;
  readonly file: ArtefactRows<AnswerLineRow>;
  readonly search: AddressField;
  private readonly item: AddressField;

  readonly answers = $derived.by(() => answersOf(this.file.rows));
  readonly task = $derived.by(() => this.named('task', this.answers.tasks) ?? '');
  readonly scorer = $derived.by(() => this.named('metric', this.answers.scorers) ?? this.answers.scorers[0] ?? '');
  readonly pair = $derived.by((): [first: string, second: string] => {
    const { ways } = this.answers;
    const [first, second] = this.inside.playground.address.get('compare').split(BETWEEN);
    const has = (id: string | undefined): id is string => ways.some((way) => way.id === id);
    const usual = defaultPair(ways);
    return [has(first) ? first : usual[0], has(second) ? second : usual[1]];
  });
  readonly change = $derived.by(() => this.named('filter', Object.keys(CHANGES) as Change[]));
  readonly ofTask = $derived.by(() => {
    const { items } = this.answers;
    return this.task === '' ? items : items.filter(({ taskId }) => taskId === this.task);
  });
  readonly comparison = $derived.by(() => compare(this.ofTask, ...this.pair, this.scorer));
  readonly shown = $derived.by(() => {
    const sought = this.search.value.trim().toLowerCase();
    return this.ofTask.filter(
      (item) =>
        (this.change === undefined || changeOf(item, ...this.pair, this.scorer) === this.change) &&
        (sought === '' || item.searched.includes(sought)),
    );
  });
  readonly at = $derived.by(() => {
    const id = this.item.value;
    return id === '' ? Math.min(0, this.shown.length - 1) : this.shown.findIndex((item) => item.id === id);
  });
  readonly chosen = $derived.by((): Item | undefined => this.shown[this.at]);

  constructor(playground: Playground) {
    this.inside = insideRunOf(playground);
    this.file = new ArtefactRows(playground.session, 'predictions.jsonl', readAnswer);
    this.search = new AddressField(playground.address, 'q');
    this.item = new AddressField(playground.address, 'item');
  }

  show(runId: string, revision: string): Promise<void> {
    return this.file.show(runId, revision);
  }

  choose(index: number): void {
    const item = this.shown[index];
    if (item !== undefined) this.item.value = item.id;
  }

  setTask(task: string): void {
    this.inside.playground.address.set({ task });
  }

  setScorer(scorer: string): void {
    this.inside.playground.address.set({ metric: scorer === this.answers.scorers[0] ? undefined : scorer });
  }

  setPair(first: string, second: string): void {
    const usual = defaultPair(this.answers.ways);
    const isUsual = first === usual[0] && second === usual[1];
    this.inside.playground.address.set({ compare: isUsual ? undefined : `${first}${BETWEEN}${second}` });
  }

  setChange(change: Change | undefined): void {
    this.inside.playground.address.set({ filter: change });
  }

  leave(): void {
    this.search.write();
    this.item.write();
  }

  private named<Name extends string>(name: 'task' | 'metric' | 'filter', among: readonly Name[]): Name | undefined {
    const text = this.inside.playground.address.get(name);
    return among.find((one) => one === text);
  }
}
