// compare.svelte.ts: two systems that are compared question by question, as the page has them: which two (in the address, as
// `compare=run:system.prompt.scorer~run:…`), what each could be, and what came of it task by task. The test is the session's.
import { matchesOneAnswer, isSelfConsistency } from '../../config/scorerNames';
import type { EvaluationRow, PairedResult, PromptKind, StoredRun, SystemName } from '../../session/protocol';
import { Latest } from '../state/latest';
import { toNotice, type Notice } from '../state/notice';
import type { Playground } from '../state/playground.svelte';
import { RUN_ID, resultsChoice } from './choice.svelte';
import { together, type Compared } from './compareWords';

const BETWEEN = '~';

/** A system of a run, asked and scored in one way. */
export interface Way {
  /** In the address. */
  id: string;
  label: string;
  system: SystemName;
  prompt: PromptKind;
  scorer: string;
  tasks: string[];
}

/** A task that was compared, or why it could not be. */
export type TaskOutcome = { taskId: string; result: PairedResult } | { taskId: string; notice: Notice };

type Two<T> = [first: T, second: T];
export type SideIndex = 0 | 1;

interface Named {
  runId: string;
  way: string;
}

export class CompareState {
  outcomes = $state.raw<readonly TaskOutcome[]>([]);
  comparing = $state(false);
  /** Why a run's ways cannot be read. */
  notice = $state.raw<Notice>();
  private known = $state.raw<ReadonlyMap<string, { updatedAt: string; ways: Way[] }>>(new Map());
  private readonly latest = new Latest();

  constructor(private readonly playground: Playground) {}

  /** Finished runs: only these have all answers. */
  readonly runs = $derived.by((): StoredRun[] =>
    this.playground.stored.runs
      .filter(({ state }) => state === 'finished')
      .sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1)),
  );

  private readonly named = $derived.by((): Two<Named | undefined> => {
    const [first, second] = this.playground.address.get('compare').split(BETWEEN);
    return [readSide(first), readSide(second)];
  });

  /** Those of the address; else those chosen for the tables; else the newest. '' where there is none. */
  readonly runIds = $derived.by((): Two<string> => {
    const chosen = resultsChoice(this.playground).ids.filter((id) => this.runs.some(({ runId }) => runId === id));
    const first = this.named[0]?.runId ?? chosen[0] ?? this.runs[0]?.runId ?? '';
    return [first, this.named[1]?.runId ?? (this.named[0] === undefined ? chosen[1] : undefined) ?? first];
  });

  /** Named, and not among the finished runs of this browser. */
  readonly missing = $derived.by((): string[] =>
    this.playground.stored.listed
      ? [...new Set(this.runIds)].filter((id) => id !== '' && this.runs.every(({ runId }) => runId !== id))
      : [],
  );

  readonly ways = $derived.by((): Two<Way[]> => {
    const [first, second] = this.runIds;
    return [this.known.get(first)?.ways ?? [], this.known.get(second)?.ways ?? []];
  });

  /** Within one run its untouched student and its last; of two runs the last of each. */
  readonly chosen = $derived.by((): Two<Way | undefined> => {
    const [first, second] = this.ways;
    const isOneRun = this.runIds[0] === this.runIds[1];
    const of = (ways: readonly Way[], side: SideIndex): Way | undefined =>
      ways.find(({ id }) => id === this.named[side]?.way) ?? usual(ways, side === 0 && isOneRun ? 0 : -1);
    return [of(first, 0), of(second, 1)];
  });

  readonly same = $derived.by(
    () => this.runIds[0] === this.runIds[1] && this.chosen[0] !== undefined && this.chosen[0].id === this.chosen[1]?.id,
  );

  readonly tasks = $derived.by((): string[] => {
    const [first, second] = this.chosen;
    return first === undefined || second === undefined || this.same
      ? []
      : first.tasks.filter((task) => second.tasks.includes(task));
  });

  readonly results = $derived.by(() => this.outcomes.flatMap((one) => ('result' in one ? [one] : [])));
  readonly failures = $derived.by(() => this.outcomes.flatMap((one) => ('notice' in one ? [one] : [])));
  readonly all = $derived.by((): Compared | undefined =>
    this.results.length === 0 ? undefined : together(this.results.map(({ result }) => result)),
  );

  chooseRun(side: SideIndex, runId: string): void {
    this.write(side, { runId, way: this.chosen[side]?.id ?? '' });
  }

  chooseWay(side: SideIndex, way: string): void {
    this.write(side, { runId: this.runIds[side], way });
  }

  swap(): void {
    const [first, second] = this.now();
    this.playground.address.set({ compare: sidesText([second, first]) });
  }

  /** Reads what the two runs were evaluated with, where that is not known yet. */
  async readWays(): Promise<void> {
    const wanted = this.runs.filter(({ runId }) => this.runIds.includes(runId));
    try {
      for (const { runId, updatedAt } of wanted) {
        if (this.known.get(runId)?.updatedAt === updatedAt) continue;
        const { evaluations } = await this.playground.session.runDetails(runId);
        this.known = new Map(this.known).set(runId, { updatedAt, ways: waysOf(evaluations) });
      }
      this.notice = undefined;
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** Compares the chosen two on every task that both were tested on. Never rejects. */
  async compare(): Promise<void> {
    const [first, second] = this.chosen;
    const { tasks } = this;
    if (first === undefined || second === undefined || tasks.length === 0) {
      this.latest.cancel();
      this.outcomes = [];
      this.comparing = false;
      return;
    }
    const side = ({ system, prompt, scorer }: Way, runId: string, taskId: string) =>
      ({ runId, system, prompt, scorer, taskId }) as const;
    const [a, b] = this.runIds;
    this.comparing = true;
    const outcomes = await this.latest.run(() =>
      Promise.all(
        tasks.map(async (taskId): Promise<TaskOutcome> => {
          try {
            const sides = [side(first, a, taskId), side(second, b, taskId)] as const;
            return { taskId, result: await this.playground.session.comparePaired(...sides) };
          } catch (error) {
            return { taskId, notice: toNotice(error) };
          }
        }),
      ),
    );
    if (outcomes === undefined) return; // others are compared meanwhile
    this.outcomes = outcomes.value;
    this.comparing = false;
  }

  /** Inside's answers side by side, filtered to what changed; undefined where that view cannot show these two. */
  insideLink(change: 'gained' | 'lost', taskId?: string): string | undefined {
    const [first, second] = this.chosen;
    const [runId, other] = this.runIds;
    if (first === undefined || second === undefined || runId !== other) return undefined;
    const scorers = [first, second].map(({ scorer }) => scorer).filter((scorer) => !isSelfConsistency(scorer));
    const [ways, metric] = [[first, second].map(insideWay), scorers[0]];
    if (new Set(scorers).size > 1 || ways[0] === ways[1]) return undefined;
    return this.playground.address.link({
      place: 'inside',
      view: 'generations',
      run: runId,
      compare: ways.join(BETWEEN),
      filter: change,
      ...(metric === undefined ? {} : { metric }),
      ...(taskId === undefined ? {} : { task: taskId }),
    });
  }

  private now(): Two<Named> {
    const side = (at: SideIndex): Named => ({ runId: this.runIds[at], way: this.chosen[at]?.id ?? '' });
    return [side(0), side(1)];
  }

  private write(side: SideIndex, named: Named): void {
    const both = this.now();
    both[side] = named;
    this.playground.address.set({ compare: sidesText(both) });
  }
}

/** Undefined for what is no side: another place's text, or what somebody made up. */
function readSide(text: string | undefined): Named | undefined {
  const cut = text?.indexOf(':') ?? -1;
  if (text === undefined || cut < 1 || !RUN_ID.test(text.slice(0, cut))) return undefined;
  return { runId: text.slice(0, cut), way: text.slice(cut + 1) };
}

const sidesText = (sides: Two<Named>): string => sides.map(({ runId, way }) => `${runId}:${way}`).join(BETWEEN);

function waysOf(evaluations: readonly EvaluationRow[]): Way[] {
  const ways = new Map<string, Way>();
  for (const { system, prompt, scorer, taskId, n } of evaluations) {
    if (n === 0) continue;
    const id = `${system}.${prompt}.${scorer}`;
    const label = `${system}, ${prompt === 'cot' ? 'CoT' : 'plain'}, ${scorer}`;
    const way = ways.get(id) ?? { id, label, system, prompt, scorer, tasks: [] };
    if (!way.tasks.includes(taskId)) way.tasks.push(taskId);
    ways.set(id, way);
  }
  return [...ways.values()];
}

/** The first or the last one with the CoT prompt and the experiment's own scorer, as far as there are such. */
function usual(ways: readonly Way[], at: 0 | -1): Way | undefined {
  const matching = ways.filter(({ scorer }) => matchesOneAnswer(scorer));
  const own = matching.filter(({ scorer }) => scorer === matching[0]?.scorer);
  const cot = own.filter(({ prompt }) => prompt === 'cot');
  const among = [cot, own, ways].find(({ length }) => length > 0) ?? [];
  return among.at(at);
}

/** As Inside names ways of answering (inside/answers.ts). */
const insideWay = ({ system, prompt, scorer }: Way): string =>
  `${system}.${prompt}${isSelfConsistency(scorer) ? '.vote' : ''}`;
