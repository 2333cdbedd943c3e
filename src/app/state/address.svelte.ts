// address.svelte.ts: the page's address as its state: which of the four places is shown and what is chosen in it, so that a
// reload, the back button and a shared link show the same again. Keys and data are never in it. It reads and writes query
// parameters; what each means is the business of the part that owns it.

export const PLACES = ['lesson', 'lab', 'inside', 'results'] as const;
export type PlaceName = (typeof PLACES)[number];

/**
 * Every name that may be in the address, so that two parts do not take the same one and a slip is a type error.
 * `run` names a stored run (Results: several, with commas), `view` a part of a place, `q` a search text, `changes` what a
 * person changed in the experiment.
 */
export type AddressName =
  | 'place'
  | 'experiment'
  | 'seed'
  | 'changes'
  | 'chapter'
  | 'speed'
  | 'run'
  | 'view'
  | 'q'
  | 'filter'
  | 'task'
  | 'system'
  | 'item'
  | 'compare'
  | 'overlay'
  | 'metric'
  | 'scale'
  | 'smooth'
  | 'theme'
  | 'projector';

export type AddressChanges = Partial<Record<AddressName, string | undefined>>;

/** `replace` for what is refined, `push` for what the back button should undo. */
export type HistoryStep = 'replace' | 'push';

/** Parameters of one place mean nothing in another one. */
const OF_A_PLACE: readonly AddressName[] = [
  'view',
  'q',
  'filter',
  'task',
  'system',
  'item',
  'compare',
  'overlay',
  'metric',
  'scale',
  'smooth',
];

const isPlace = (text: string): text is PlaceName => (PLACES as readonly string[]).includes(text);

export class Address {
  private href = $state.raw('');
  private readonly query = $derived(new URL(this.href).searchParams);

  /** The place that is shown; the lesson where the address names none, or one that does not exist. */
  readonly place = $derived.by((): PlaceName => {
    const named = this.get('place');
    return isPlace(named) ? named : 'lesson';
  });

  /** @param write shows a new address in the browser; nothing where there is no browser (tests). */
  constructor(
    href: string,
    private readonly write: (href: string, how: HistoryStep) => void = () => undefined,
  ) {
    this.href = href;
  }

  /** '' where the address does not say it. */
  get(name: AddressName): string {
    return this.query.get(name) ?? '';
  }

  /** Changes some parameters and leaves the others; undefined and '' take one out. Nothing happens where nothing changes. */
  set(changes: AddressChanges, how: HistoryStep = 'replace'): void {
    const href = this.link(changes);
    if (href === this.href) return;
    this.href = href;
    this.write(href, how);
  }

  /** The address after such a change. Going to another place leaves behind what belonged to the former one. */
  link(changes: AddressChanges): string {
    const url = new URL(this.href);
    const leaves = changes.place !== undefined && changes.place !== this.place;
    const taken: AddressChanges = leaves
      ? { ...Object.fromEntries(OF_A_PLACE.map((name) => [name, undefined])), ...changes }
      : changes;
    for (const [name, value] of Object.entries(taken)) {
      if (value === undefined || value === '') url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    return url.href;
  }

  /**
   * For a click on such a link: goes there without loading the page anew, which would end a run. With a key held, or another
   * button, the click is left to the browser.
   * @returns whether it went there.
   */
  follow(event: MouseEvent, changes: AddressChanges): boolean {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button !== 0) return false;
    event.preventDefault();
    this.set(changes, 'push');
    return true;
  }

  /** The browser shows another address: the back button, or a link within the page. */
  take(href: string): void {
    this.href = href;
  }
}
