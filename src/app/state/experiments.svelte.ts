// experiments.svelte.ts: which experiment the page will run and what a person changed in it: choosing, editing with undo, problems,
// the difference from what was chosen, saving under a name, files. The document may be no valid experiment while it is being edited;
// then nothing runs. It loads no weights; where files lie is in experimentFiles.ts, the address in experimentAddress.svelte.ts.
import { PupilError } from '../../base/errors';
import { differencesOf, withoutDifference, type Difference } from '../../config/differences';
import {
  checkExperiment,
  refusalOf,
  type ConfigProblem,
  type Experiment,
  type ExperimentInput,
} from '../../config/experiment';
import { dataPaths, localPaths } from '../../config/paths';
import type { ConfigPath } from '../../config/seriesPaths';
import { isFields, valueAt, withDefaults, withValue } from '../../config/settingValues';
import { isPicked, studentFolder } from '../../config/studentFolder';
import type { PickedFile } from '../pickedFiles';
import { DocumentHistory } from './documentHistory.svelte';
import { bundledChoices, DEFAULT_EXPERIMENT, nameOf, needsData, type ExperimentChoice } from './experimentChoices';
import { ExperimentAddress, type AddressedExperiments } from './experimentAddress.svelte';
import { locate, NO_DATA, type PreparedRun } from './experimentFiles';
import type { KeyValue } from './keyValue';
import { toNotice, type Notice } from './notice';
import { SavedExperiments, type SavedExperiment } from './savedExperiments';

/** Where a changed experiment is kept, by the choice's id. */
const CHANGED = 'pupil-experiment:';
const SAVED = 'saved:';

interface Changed {
  document: unknown;
  /** As in SavedExperiment. */
  address?: string;
}

const savedChoice = ({ name, document }: SavedExperiment): ExperimentChoice => ({
  id: SAVED + name,
  label: name,
  document,
  needsData: needsData(document, true),
  own: true,
});

export class Experiments implements AddressedExperiments {
  choices = $state.raw<readonly ExperimentChoice[]>([]);
  selectedId = $state(DEFAULT_EXPERIMENT);
  picked = $state.raw<readonly PickedFile[]>([]);
  /** The files of students that were picked in this page, by their folders as experiments name them. */
  pickedStudents = $state.raw<Readonly<Record<string, Record<string, Blob>>>>({});
  dataAddress = $state('');
  /** A change that will not outlive a reload. */
  keepProblem = $state.raw<Notice>();
  /** A file that could not be taken, or a name that could not be given. */
  pickProblem = $state.raw<Notice>();
  readonly address: ExperimentAddress;
  /** Resolves when what the page's address says has been read. */
  readonly opened: Promise<void>;

  /** Changed documents by the choice's id. */
  private changes = $state.raw<Readonly<Record<string, Changed>>>({});
  private readonly history = new DocumentHistory();
  private readonly good = new Map<string, Experiment>();
  private readonly savedOnes: SavedExperiments;

  constructor(
    href: string,
    private readonly memory: KeyValue,
  ) {
    this.savedOnes = new SavedExperiments(memory);
    this.choices = [...bundledChoices(), ...this.savedOnes.list().map(savedChoice)];
    this.recallChanges();
    this.address = new ExperimentAddress(this);
    this.opened = this.address.open(href);
  }

  readonly selected = $derived(this.choices.find((choice) => choice.id === this.selectedId));
  /** The chosen document with the person's changes. It may be no experiment while it is being edited. */
  readonly document = $derived(this.changes[this.selectedId]?.document ?? this.selected?.document);
  /** The same with every default written out. */
  readonly complete = $derived(withDefaults(this.document));
  readonly differences = $derived(differencesOf(this.selected?.document, this.document));
  readonly isChanged = $derived(this.differences.length > 0);
  readonly needsData = $derived(needsData(this.document, this.selected?.own === true));
  readonly canUndo = $derived.by(() => this.history.canUndo(this.selectedId));
  readonly canRedo = $derived.by(() => this.history.canRedo(this.selectedId));

  /** The checked document, or what is wrong with it. */
  readonly checked = $derived.by((): { experiment?: Experiment; problems: ConfigProblem[]; problem?: Notice } => {
    if (this.document === undefined) return { problems: [] };
    const { experiment, problems } = checkExperiment(this.document);
    return experiment === undefined ? { problems, problem: toNotice(refusalOf(problems)) } : { experiment, problems };
  });

  /** The experiment as it last was without problems: what is shown does not go away while a number is being typed. */
  readonly steady = $derived.by((): Experiment | undefined => {
    const { experiment } = this.checked;
    if (experiment === undefined)
      return this.good.get(this.selectedId) ?? checkExperiment(this.selected?.document).experiment;
    this.good.set(this.selectedId, experiment);
    return experiment;
  });

  /** What is still missing before Run makes sense; empty when nothing is. */
  readonly missing = $derived.by(() => {
    if (this.checked.problem !== undefined) return 'The experiment has problems.';
    if (this.needsData && this.picked.length === 0 && this.dataAddress.trim() === '') return NO_DATA;
    return this.missingStudent;
  });

  /** Files that were picked do not outlive the page; an experiment that names them does. */
  readonly missingStudent = $derived.by(() => {
    const source = this.checked.experiment?.student.source;
    if (source === undefined || !isPicked(source) || studentFolder(source) in this.pickedStudents) return '';
    return `The student was picked from a folder (${studentFolder(source).replace(/^picked:/, '')}): pick it again under Student.`;
  });

  /** The seed where it is not that of what was chosen; for the address. */
  get seedText(): string {
    const of = (document: unknown): unknown => valueAt(withDefaults(document), ['seed']);
    const seed = of(this.document);
    return seed === of(this.selected?.document) ? '' : String(seed);
  }
  set seedText(text: string) {
    const typed = text.trim();
    const original = valueAt(withDefaults(this.selected?.document), ['seed']);
    this.edit(['seed'], typed === '' ? original : /^\d+$/.test(typed) ? Number(typed) : typed);
  }

  /** One setting gets another value, good or not; undefined: its default. Steps of one setting that follow each other fast are one. */
  edit(path: ConfigPath, value: unknown): void {
    this.replace(this.selectedId, withValue(this.document, path, value), JSON.stringify(path));
  }

  /**
   * Changes an experiment as a whole.
   * @param id of the choice, where it need not be the selected one any more.
   * @throws PupilError `config`, and changes nothing, where that would bring problems that were not there.
   */
  change(update: (document: ExperimentInput) => ExperimentInput, id = this.selectedId): void {
    if (!this.choices.some((known) => known.id === id)) throw new PupilError('config', 'No experiment is chosen.');
    const before = this.documentOf(id);
    const document = update(structuredClone(before) as ExperimentInput);
    const known = new Set(checkExperiment(before).problems.map(({ path, expected }) => path + expected));
    const problems = checkExperiment(document).problems.filter(({ path, expected }) => !known.has(path + expected));
    if (problems.length > 0) throw refusalOf(problems);
    this.replace(id, document, '');
  }

  revert(difference: Difference): void {
    const document = withoutDifference(this.document, difference);
    if (document !== undefined) this.replace(this.selectedId, document, '');
  }

  /** The selected experiment as it was before all changes. That is a change, too: it can be undone. */
  undoChanges(): void {
    if (this.selected !== undefined) this.replace(this.selectedId, this.selected.document, '');
  }

  undo(): void {
    const step = this.history.undo(this.selectedId, this.document);
    if (step !== undefined) this.keep(this.selectedId, step.document);
  }

  redo(): void {
    const step = this.history.redo(this.selectedId, this.document);
    if (step !== undefined) this.keep(this.selectedId, step.document);
  }

  async takeFile(file: File): Promise<void> {
    this.take(await file.text(), file.name);
  }

  /** An experiment from a file or the clipboard; it is saved in this browser and chosen. @param from what a message calls it. */
  take(text: string, from: string): void {
    this.pickProblem = undefined;
    try {
      let document: unknown;
      try {
        document = JSON.parse(text);
      } catch (cause) {
        throw new PupilError('config', `${from}: expected JSON, ${(cause as Error).message}`);
      }
      if (!isFields(document)) throw new PupilError('config', `${from}: expected an experiment, got other JSON`);
      if ('experiment' in document) {
        throw new PupilError(
          'config',
          `${from}: expected one experiment, got a series of them`,
          'The command line runs a series: pupil series FILE. Its base experiment can be opened here.',
        );
      }
      this.shelve(document, nameOf(document, from));
    } catch (error) {
      this.pickProblem = toNotice(error);
    }
  }

  /** Keeps the experiment as it stands under a name of its own, and goes on with that one. */
  saveAs(wanted: string): void {
    this.guarded(() => {
      const name = wanted.trim();
      if (name === '') throw new PupilError('config', 'save: expected a name, got none');
      this.shelve({ ...(this.complete as object), name }, name);
    });
  }

  /** A saved experiment becomes what it was changed to. */
  save(): void {
    this.guarded(() => {
      const { selected, document } = this;
      if (selected?.own !== true) return;
      this.savedOnes.put({ name: selected.label, document });
      this.choices = this.choices.map((one) =>
        one.id === selected.id ? savedChoice({ name: one.label, document }) : one,
      );
      this.keep(selected.id, document);
    });
  }

  renameSaved(wanted: string): void {
    this.guarded(() => {
      const { selected } = this;
      const name = wanted.trim();
      if (selected?.own !== true || name === '' || name === selected.label) return;
      const free = this.savedOnes.freeName(name);
      const changed = this.changes[selected.id];
      this.savedOnes.rename(selected.label, free);
      this.choices = this.choices.map((one) =>
        one.id === selected.id ? { ...one, id: SAVED + free, label: free } : one,
      );
      this.selectedId = SAVED + free;
      if (changed !== undefined) this.keep(SAVED + free, changed.document);
      this.forget(selected.id);
    });
  }

  deleteSaved(): void {
    this.guarded(() => {
      const { selected } = this;
      if (selected?.own !== true) return;
      this.savedOnes.remove(selected.label);
      this.forget(selected.id);
      this.choices = this.choices.filter((one) => one.id !== selected.id);
      this.selectedId = DEFAULT_EXPERIMENT;
    });
  }

  /** Everything a run needs. Throws PupilError where something is missing. */
  async prepare(pageBase: string): Promise<PreparedRun> {
    await this.opened;
    if (this.missingStudent !== '') throw new PupilError('source', this.missingStudent);
    return this.prepareWith(pageBase, localPaths);
  }

  /** The same without the student, which may be large: for whoever reads tasks and demonstrations only. */
  async prepareData(pageBase: string): Promise<PreparedRun> {
    await this.opened;
    return this.prepareWith(pageBase, dataPaths);
  }

  private prepareWith(pageBase: string, paths: (experiment: Experiment) => string[]): PreparedRun {
    const { experiment, problem } = this.checked;
    if (experiment !== undefined) return locate(experiment, this, pageBase, paths);
    throw new PupilError('config', problem?.message ?? 'No experiment is chosen.', problem?.hint);
  }

  documentOf(id: string): unknown {
    return this.changes[id]?.document ?? this.choices.find((choice) => choice.id === id)?.document;
  }

  /** @param topic as DocumentHistory has it. */
  replace(id: string, document: unknown, topic = ''): void {
    this.history.record(id, this.documentOf(id), topic, performance.now());
    if (this.address.fromLink === id) this.address.fromLink = undefined; // it is the person's own from now on
    this.keep(id, document);
  }

  withAddress(address: string): string | undefined {
    const changed = Object.entries(this.changes).find(([, one]) => one.address === address);
    if (changed !== undefined) return changed[0];
    const saved = this.savedOnes.list().find((one) => one.address === address);
    return saved === undefined || SAVED + saved.name in this.changes ? undefined : SAVED + saved.name;
  }

  rememberAddress(id: string, address: string): void {
    const { document, address: known } = this.changes[id] ?? {};
    if (document !== undefined) {
      if (known !== address) this.keep(id, document, address);
      return;
    }
    const saved = this.savedOnes.list().find(({ name }) => SAVED + name === id);
    if (saved !== undefined && saved.address !== address) this.guarded(() => this.savedOnes.put({ ...saved, address }));
  }

  /** Adds it to the saved ones, and chooses it. Its id. @throws PupilError `storage-full`. */
  shelve(document: unknown, wanted: string): string {
    const name = this.savedOnes.freeName(wanted);
    this.savedOnes.put({ name, document });
    this.choices = [...this.choices, savedChoice({ name, document })];
    this.selectedId = SAVED + name;
    return name;
  }

  private guarded(work: () => void): void {
    this.pickProblem = undefined;
    try {
      work();
    } catch (error) {
      this.pickProblem = toNotice(error);
    }
  }

  /** Remembers a changed document over a reload as far as the browser has room; one that is as it was chosen is forgotten. */
  private keep(id: string, document: unknown, address?: string): void {
    const choice = this.choices.find((known) => known.id === id);
    if (differencesOf(choice?.document, document).length === 0) return this.forget(id);
    const changed: Changed = { document, ...(address === undefined ? {} : { address }) };
    this.changes = { ...this.changes, [id]: changed };
    this.keepProblem = undefined;
    try {
      this.memory.setItem(CHANGED + id, JSON.stringify({ label: choice?.label, ...changed }));
    } catch {
      const message = 'The change is made, but this browser has no room to remember it over a reload.';
      this.keepProblem = { code: 'storage-full', message, hint: 'Download the experiment before you leave.' };
    }
  }

  private forget(id: string): void {
    const { [id]: _, ...others } = this.changes;
    this.changes = others;
    this.memory.removeItem(CHANGED + id);
  }

  private recallChanges(): void {
    const changes: Record<string, Changed> = {};
    for (const { id } of this.choices) {
      const text = this.memory.getItem(CHANGED + id);
      if (text === null) continue;
      try {
        const { document, address } = JSON.parse(text) as Changed;
        changes[id] = { document, ...(address === undefined ? {} : { address }) };
      } catch {
        this.memory.removeItem(CHANGED + id); // damaged: the experiment itself is there
      }
    }
    this.changes = changes;
  }
}
