// experimentAddress.svelte.ts: the experiment in the page's address: which one, its seed, and what was changed in it, read when the
// page opens and written as it changes. What a link brings is taken only where it makes a valid experiment; the changes that
// were here before are kept. The text itself is changesLink.ts's.
import { PupilError } from '../../base/errors';
import { asChanges, differencesOf, withChanges } from '../../config/differences';
import { checkExperiment, refusalOf, type Experiment } from '../../config/experiment';
import { valueAt, withDefaults, withValue } from '../../config/settingValues';
import { decodeChanges, linkOf } from './changesLink';
import { DEFAULT_EXPERIMENT, nameOf, type ExperimentChoice } from './experimentChoices';
import { toNotice, type Notice } from './notice';

/** The experiments of the page, as far as the address concerns them. */
export interface AddressedExperiments {
  readonly choices: readonly ExperimentChoice[];
  readonly selected: ExperimentChoice | undefined;
  selectedId: string;
  readonly document: unknown;
  readonly checked: { experiment?: Experiment };
  /** The choice of which the address said this when it was last looked at. */
  withAddress(address: string): string | undefined;
  rememberAddress(id: string, address: string): void;
  documentOf(id: string): unknown;
  /** As a change that can be undone. */
  replace(id: string, document: unknown): void;
  /** Keeps a document among those that are saved in this browser. */
  shelve(document: unknown, name: string): string;
}

/** Parameters of the address. */
export interface Addressed {
  experiment: string;
  seed: string;
  changes: string;
}

const keyOf = ({ experiment, seed, changes }: Addressed): string => `${experiment}|${seed}|${changes}`;
const seedOf = (document: unknown): unknown => valueAt(withDefaults(document), ['seed']);

export class ExperimentAddress {
  /** What the address says now; it is behind the document by a moment. */
  shown = $state.raw<Addressed>({ experiment: DEFAULT_EXPERIMENT, seed: '', changes: '' });
  /** Paths of what it leaves out: data, or too long. */
  leftOut = $state.raw<readonly string[]>([]);
  /** Why it was not taken. */
  problem = $state.raw<Notice>();
  /** The choice whose changes came with a link, until they are changed, undone or agreed to. */
  fromLink = $state<string>();
  /** The name under which changes were kept that a link took the place of. */
  keptAs = $state('');

  constructor(private readonly experiments: AddressedExperiments) {}

  /** What the page was opened with. A reload finds what was here; everything else is a link. */
  async open(href: string): Promise<void> {
    const query = new URL(href).searchParams;
    const at = {
      experiment: query.get('experiment') ?? DEFAULT_EXPERIMENT,
      seed: query.get('seed') ?? '',
      changes: query.get('changes') ?? '',
    };
    this.shown = at;
    const { experiments } = this;
    const known = experiments.withAddress(keyOf(at));
    if (known !== undefined) {
      experiments.selectedId = known;
      return;
    }
    const choice = experiments.choices.find(({ id, own }) => id === at.experiment && !own);
    try {
      if (choice === undefined) {
        throw new PupilError(
          'config',
          `experiment in the address: expected one that this page has, got ${JSON.stringify(at.experiment.slice(0, 60))}`,
          'It may be of another version of Pupil. Choose one below, or open its file.',
        );
      }
      experiments.selectedId = choice.id;
      if (at.changes !== '') await this.takeChanges(choice, at);
      else if (at.seed !== '') this.takeSeed(choice, at.seed);
    } catch (error) {
      this.problem = toNotice(error);
    }
  }

  /** Brings the address up to the document; one with problems leaves it as it is. */
  async refresh(): Promise<void> {
    const { selected, document, checked } = this.experiments;
    if (selected === undefined || checked.experiment === undefined) return;
    // Other browsers have no saved experiments: theirs are given as changes of the one that they are most like.
    const base = selected.own ? this.likest(document) : selected;
    const { changes, leftOut } = await linkOf(base.document, document);
    if (this.experiments.document !== document || this.experiments.selected?.id !== selected.id) return;
    const seed = seedOf(document) === seedOf(base.document) ? '' : String(seedOf(document));
    this.shown = { experiment: base.id, seed, changes };
    this.leftOut = leftOut;
    this.experiments.rememberAddress(selected.id, keyOf(this.shown));
  }

  private takeSeed(choice: ExperimentChoice, seed: string): void {
    const { experiments } = this;
    const document = withValue(experiments.documentOf(choice.id), ['seed'], /^\d+$/.test(seed) ? Number(seed) : seed);
    if (seedOf(document) !== seedOf(experiments.documentOf(choice.id))) experiments.replace(choice.id, document);
  }

  private async takeChanges(choice: ExperimentChoice, { changes, seed }: Addressed): Promise<void> {
    const made = withChanges(choice.document, await decodeChanges(changes));
    if ('problem' in made) throw refusalOf([made.problem]);
    const document = seed === '' ? made.document : withValue(made.document, ['seed'], Number(seed));
    const { experiment, problems } = checkExperiment(document);
    if (experiment === undefined) throw refusalOf(problems);
    const { experiments } = this;
    const mine = experiments.documentOf(choice.id);
    if (differencesOf(mine, document).length === 0) return;
    if (differencesOf(choice.document, mine).length > 0) {
      this.keptAs = experiments.shelve(mine, `${nameOf(mine, choice.label)}, as it was before a link`);
      experiments.selectedId = choice.id;
    }
    experiments.replace(choice.id, document);
    this.fromLink = choice.id;
  }

  private likest(document: unknown): ExperimentChoice {
    const sizes = this.experiments.choices
      .filter(({ own }) => !own)
      .map((choice) => ({ choice, size: JSON.stringify(asChanges(differencesOf(choice.document, document))).length }));
    return sizes.reduce((best, one) => (one.size < best.size ? one : best)).choice;
  }
}
