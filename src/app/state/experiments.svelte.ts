// experiments.svelte.ts: which experiment the page will run, with which seed, and where its files come from: those served
// with the page, a picked folder, or an address; and what a person changed in it. It checks the document; it loads no weights.
import { parseExperiment, type Experiment, type ExperimentInput } from '../../config/experiment';
import { dataPaths, localPaths, resolvePaths } from '../../config/paths';
import { preset, PRESET_NAMES } from '../../config/presets';
import { isPicked, studentFolder } from '../../config/studentFolder';
import { PupilError } from '../../base/errors';
import type { FileRoot } from '../../session/protocol';
import { readPicked, type PickedFile } from '../pickedFiles';
import type { KeyValue } from './keyValue';
import { toNotice, type Notice } from './notice';

export interface ExperimentChoice {
  id: string;
  label: string;
  document: unknown;
  /** False where every file is served with the page. */
  needsData: boolean;
}

/** A checked experiment with concrete paths and the place they are in. */
export interface PreparedRun {
  experiment: Experiment;
  files: FileRoot;
}

export const DEFAULT_EXPERIMENT = 'lesson';
const PICKED = 'picked file';
/** Where a changed experiment is kept, by the choice's id. */
const CHANGED = 'pupil-experiment:';

/** The experiment files of the project, bundled with the page. */
const bundled = import.meta.glob<unknown>('../../../experiments/*.json', { eager: true, import: 'default' });

function needsData(document: unknown): boolean {
  return JSON.stringify(document).includes('{data}');
}

/** Whether an experiment of the person's own names files that the page does not have. What cannot be read may. */
function needsFiles(document: unknown): boolean {
  try {
    return localPaths(parseExperiment(document)).length > 0;
  } catch {
    return true;
  }
}

/** The student that comes with the page, by its address: picked files and other servers do not have it. */
function bundledFrom(pageBase: string, experiment: Experiment): Experiment {
  const { source } = experiment.student;
  if (source.kind !== 'bundled') return experiment;
  const url = new URL(`students/${source.name}/`, pageBase).href;
  return { ...experiment, student: { ...experiment.student, source: { kind: 'url', url } } };
}

function nameOf(document: unknown, otherwise: string): string {
  const name = (document as { name?: unknown } | null)?.name;
  return typeof name === 'string' && name !== '' ? name : otherwise;
}

function bundledChoices(): ExperimentChoice[] {
  const files = Object.entries(bundled).map(([path, document]) => {
    const id = (path.split('/').at(-1) ?? path).replace(/\.json$/, '');
    return { id, label: nameOf(document, id), document, needsData: needsData(document) };
  });
  const presets = PRESET_NAMES.map((name) => {
    const document = preset(name);
    const label = name === DEFAULT_EXPERIMENT ? document.name : `Preset: ${document.name}`;
    return { id: name, label, document, needsData: needsData(document) };
  });
  // What runs as it is comes first, the default before everything.
  const rank = (choice: ExperimentChoice): number => (choice.id === DEFAULT_EXPERIMENT ? 0 : choice.needsData ? 2 : 1);
  return [...files, ...presets].sort((a, b) => rank(a) - rank(b));
}

export class Experiments {
  choices = $state.raw<readonly ExperimentChoice[]>(bundledChoices());
  selectedId = $state(DEFAULT_EXPERIMENT);
  /** Empty: the document's own. */
  seedText = $state('');
  picked = $state.raw<readonly PickedFile[]>([]);
  /** The files of students that were picked in this page, by their folders as experiments name them. */
  pickedStudents = $state.raw<Readonly<Record<string, Record<string, Blob>>>>({});
  dataAddress = $state('');
  /** A change that will not outlive a reload. */
  keepProblem = $state.raw<Notice>();
  /** A file that could not be taken. */
  pickProblem = $state.raw<Notice>();

  /** Changed documents by the choice's id. */
  private changes = $state.raw<Readonly<Record<string, unknown>>>({});

  constructor(
    address: string,
    private readonly memory: KeyValue,
  ) {
    this.recallChanges();
    const wanted = new URL(address).searchParams;
    const id = wanted.get('experiment');
    if (id !== null && this.choices.some((choice) => choice.id === id)) this.selectedId = id;
    this.seedText = wanted.get('seed') ?? '';
  }

  readonly selected = $derived(this.choices.find((choice) => choice.id === this.selectedId));

  /** The chosen document with the person's changes; without the seed that is typed beside it. */
  readonly document = $derived(this.changes[this.selectedId] ?? this.selected?.document);
  readonly isChanged = $derived(this.selectedId in this.changes);

  /** The checked document, or what is wrong with it. */
  readonly checked = $derived.by((): { experiment?: Experiment; problem?: Notice } => {
    if (this.document === undefined) return {};
    try {
      return { experiment: parseExperiment(this.withSeed(this.document)) };
    } catch (error) {
      return { problem: toNotice(error) };
    }
  });

  /** What is still missing before Run makes sense; empty when nothing is. */
  readonly missing = $derived.by(() => {
    if (this.checked.problem !== undefined) return 'The experiment has problems.';
    if (this.selected?.needsData === true && this.picked.length === 0 && this.dataAddress.trim() === '') {
      return 'This experiment reads files of your own: pick its data folder, or give its address.';
    }
    return this.missingStudent;
  });

  /** Files that were picked do not outlive the page; an experiment that names them does. */
  readonly missingStudent = $derived.by(() => {
    const source = this.checked.experiment?.student.source;
    if (source === undefined || !isPicked(source) || studentFolder(source) in this.pickedStudents) return '';
    return `The student was picked from a folder (${studentFolder(source).replace(/^picked:/, '')}): pick it again under Student.`;
  });

  async takeFile(file: File): Promise<void> {
    this.pickProblem = undefined;
    try {
      const text = await file.text();
      let document: unknown;
      try {
        document = JSON.parse(text);
      } catch (cause) {
        throw new PupilError('config', `${file.name}: expected JSON, ${(cause as Error).message}`);
      }
      const label = `${nameOf(document, file.name)} (${file.name})`;
      const choice = { id: PICKED, label, document, needsData: needsFiles(document) };
      this.choices = [...this.choices.filter((known) => known.id !== PICKED), choice];
      this.forgetChanges(PICKED); // they were of the file before
      this.selectedId = PICKED;
    } catch (error) {
      this.pickProblem = toNotice(error);
    }
  }

  /**
   * Changes an experiment, and remembers that over a reload as far as the browser has room.
   * @param id of the choice, where it need not be the selected one any more.
   * @throws PupilError `config`, and changes nothing, where the result would be no experiment.
   */
  change(update: (document: ExperimentInput) => ExperimentInput, id = this.selectedId): void {
    const choice = this.choices.find((known) => known.id === id);
    const before = this.changes[id] ?? choice?.document;
    if (choice === undefined) throw new PupilError('config', 'No experiment is chosen.');
    const document = update(structuredClone(before) as ExperimentInput);
    parseExperiment(document);
    this.changes = { ...this.changes, [id]: document };
    this.keepProblem = undefined;
    try {
      this.memory.setItem(CHANGED + id, JSON.stringify({ label: choice.label, document }));
    } catch {
      const message = 'The change is made, but this browser has no room to remember it over a reload.';
      this.keepProblem = { code: 'storage-full', message, hint: 'Download the experiment before you leave.' };
    }
  }

  /** The selected experiment as it was before all changes. */
  undoChanges(): void {
    this.forgetChanges(this.selectedId);
  }

  private forgetChanges(id: string): void {
    const { [id]: _, ...others } = this.changes;
    this.changes = others;
    this.memory.removeItem(CHANGED + id);
  }

  private recallChanges(): void {
    const changes: Record<string, unknown> = {};
    for (const id of [...this.choices.map((choice) => choice.id), PICKED]) {
      const text = this.memory.getItem(CHANGED + id);
      if (text === null) continue;
      try {
        const { label, document } = JSON.parse(text) as { label: string; document: unknown };
        changes[id] = document;
        // A file of the person's own is not served with the page: here it is again.
        if (id === PICKED) this.choices = [...this.choices, { id, label, document, needsData: needsFiles(document) }];
      } catch {
        this.memory.removeItem(CHANGED + id); // damaged: the experiment itself is there
      }
    }
    this.changes = changes;
  }

  /** Everything a run needs. Throws PupilError where something is missing. */
  prepare(pageBase: string): Promise<PreparedRun> {
    if (this.missingStudent !== '') return Promise.reject(new PupilError('source', this.missingStudent));
    return this.prepareWith(pageBase, localPaths);
  }

  /** The same without the student, which may be large: for whoever reads tasks and demonstrations only. */
  prepareData(pageBase: string): Promise<PreparedRun> {
    return this.prepareWith(pageBase, dataPaths);
  }

  private async prepareWith(pageBase: string, paths: (experiment: Experiment) => string[]): Promise<PreparedRun> {
    const { experiment, files } = this.locate(pageBase, paths);
    const at = studentFolder(experiment.student.source);
    const student = isPicked(experiment.student.source) ? this.pickedStudents[at] : undefined;
    if (student === undefined) return { experiment, files };
    return { experiment, files: { kind: 'mounted', at, root: { kind: 'blobs', files: student }, rest: files } };
  }

  private locate(pageBase: string, paths: (experiment: Experiment) => string[]): PreparedRun {
    const { experiment, problem } = this.checked;
    if (experiment === undefined) {
      throw new PupilError('config', problem?.message ?? 'No experiment is chosen.', problem?.hint);
    }
    if (this.selected?.needsData !== true) {
      // The page serves the project's experiments/ and test/fixtures/lesson/ beside each other, as in the repository.
      return { experiment: resolvePaths(experiment, { base: 'experiments' }), files: { kind: 'http', base: pageBase } };
    }
    const resolved = bundledFrom(pageBase, resolvePaths(experiment, { base: '', data: '.' }));
    if (this.picked.length > 0)
      return { experiment: resolved, files: readPicked(resolved, this.picked, paths(resolved)) };
    const address = this.dataAddress.trim();
    if (address === '') throw new PupilError('source', this.missing);
    try {
      return {
        experiment: resolved,
        files: { kind: 'http', base: new URL(address.replace(/\/*$/, '/'), pageBase).href },
      };
    } catch (cause) {
      throw new PupilError('source', `data address: expected a URL, got ${address}`, undefined, { cause });
    }
  }

  private withSeed(document: unknown): unknown {
    const text = this.seedText.trim();
    if (text === '' || typeof document !== 'object' || document === null) return document;
    return { ...document, seed: /^\d+$/.test(text) ? Number(text) : text };
  }
}
