// demonstrations.svelte.ts: the demonstrations that a run used, as Inside shows them: searched, filtered, one of them chosen.
// Choosing and editing them before a run is the Lab's business.
import * as v from 'valibot';
import type { Playground } from '../state/playground.svelte';
import { AddressField } from './addressField.svelte';
import { ArtefactRows } from './artefactRows.svelte';
import { insideRunOf, type InsideRun } from './insideRun.svelte';

const DemonstrationLine = v.object({
  id: v.string(),
  taskId: v.string(),
  itemId: v.string(),
  instruction: v.string(),
  question: v.string(),
  answer: v.string(),
  target: v.string(),
  teacher: v.string(),
  family: v.picklist(['in-family', 'out-family']),
  correct: v.boolean(),
  original: v.exactOptional(v.object({ answer: v.string(), correct: v.boolean() })),
  // Runs of earlier versions say nothing of tokens.
  promptTokens: v.exactOptional(v.number()),
  answerTokens: v.exactOptional(v.number()),
});

export type DemonstrationRow = v.InferOutput<typeof DemonstrationLine> & { searched: string };

/** @throws Error that says what is wrong with the line */
export function readDemonstration(value: unknown): DemonstrationRow {
  const row = v.parse(DemonstrationLine, value);
  const { itemId, question, answer, target, teacher, original } = row;
  const searched = [itemId, question, answer, target, teacher, original?.answer ?? ''].join('\n').toLowerCase();
  return { ...row, searched };
}

export const VERDICTS = ['right', 'wrong', 'edited'] as const;
export type DemonstrationVerdict = (typeof VERDICTS)[number];

export interface DemonstrationFilter {
  search: string;
  /** '' in these: all. */
  task: string;
  teacher: string;
  verdict: DemonstrationVerdict | '';
}

const HAS: Record<DemonstrationVerdict, (row: DemonstrationRow) => boolean> = {
  right: ({ correct }) => correct,
  wrong: ({ correct }) => !correct,
  edited: ({ original }) => original !== undefined,
};

export function filterDemonstrations(
  rows: readonly DemonstrationRow[],
  { search, task, teacher, verdict }: DemonstrationFilter,
): readonly DemonstrationRow[] {
  const sought = search.trim().toLowerCase();
  return rows.filter(
    (row) =>
      (task === '' || row.taskId === task) &&
      (teacher === '' || row.teacher === teacher) &&
      (verdict === '' || HAS[verdict](row)) &&
      (sought === '' || row.searched.includes(sought)),
  );
}

/** What became of a teacher's demonstrations of a task, as a report counts them. */
export interface LeftOut {
  label: string;
  taskId: string;
  read: number;
  used: number;
  /** Why the others were not used, with counts above 0. */
  reasons: string[];
}

const REASONS: readonly [name: string, words: string][] = [
  ['rejectedLines', 'lines that cannot be used'],
  ['notInTraining', 'not of the training split'],
  ['beyondShare', 'beyond the share that was asked for'],
  ['tooLong', 'too long'],
  ['unknownWords', 'with words that the student lacks'],
  ['droppedWrong', 'wrong, dropped'],
  ['excludedByHand', 'left out by hand'],
];

/** Of report.json's `demonstrations`; what is no such row is left out. */
export function leftOutOf(summaries: unknown): LeftOut[] {
  if (!Array.isArray(summaries)) return [];
  return (summaries as Record<string, unknown>[]).map((row) => ({
    label: String(row['label']),
    taskId: String(row['taskId']),
    read: Number(row['read'] ?? 0),
    used: Number(row['used'] ?? 0),
    reasons: REASONS.flatMap(([name, words]) => {
      const count = Number(row[name] ?? 0);
      return count > 0 ? [`${count.toLocaleString('en-US')} ${words}`] : [];
    }),
  }));
}

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
