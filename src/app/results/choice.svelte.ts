// choice.svelte.ts: which stored runs the tables of Results are about. It lives in the address (`run=a,b`), so that reload and
// share keep it; a name there may be of a run that this browser does not have, which the tables say.
import type { Address } from '../state/address.svelte';
import type { Playground } from '../state/playground.svelte';

/** As the session's run ids are: whatever else stands in an address is no run. */
export const RUN_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export class ResultsChoice {
  /** Counts the times that a judge's ratings were stored with runs: the tables are then read again. */
  rated = $state(0);

  constructor(private readonly address: Address) {}

  /** Run ids, each once; empty: nobody chose, all finished runs are meant. */
  readonly ids = $derived.by((): string[] => [
    ...new Set(
      this.address
        .get('run')
        .split(',')
        .filter((id) => RUN_ID.test(id)),
    ),
  ]);

  get selected(): string[] {
    return this.ids;
  }

  set selected(ids: readonly string[]) {
    this.address.set({ run: [...new Set(ids)].join(',') });
  }

  isSelected(runId: string): boolean {
    return this.ids.includes(runId);
  }

  toggle(runId: string, isOn = !this.isSelected(runId)): void {
    const others = this.ids.filter((id) => id !== runId);
    this.selected = isOn ? [...others, runId] : others;
  }
}

/** The one choice of the page, kept over leaving and coming back. */
export const resultsChoice = (playground: Playground): ResultsChoice =>
  playground.part('results', () => new ResultsChoice(playground.address));
