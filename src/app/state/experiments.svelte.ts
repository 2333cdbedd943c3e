// experiments.svelte.ts: which experiment the page will run, with which seed, and where its files come from: those served
// with the page, a picked folder, or an address. It checks the document; it loads no weights.
import { parseExperiment, type Experiment } from '../../config/experiment';
import { localPaths, resolvePaths } from '../../config/paths';
import { preset, PRESET_NAMES } from '../../config/presets';
import { PupilError } from '../../base/errors';
import type { FileRoot } from '../../session/protocol';
import { readPicked, type PickedFile } from '../pickedFiles';
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
  dataAddress = $state('');
  /** A file that could not be taken. */
  pickProblem = $state.raw<Notice>();

  constructor(address: string) {
    const wanted = new URL(address).searchParams;
    const id = wanted.get('experiment');
    if (id !== null && this.choices.some((choice) => choice.id === id)) this.selectedId = id;
    this.seedText = wanted.get('seed') ?? '';
  }

  readonly selected = $derived(this.choices.find((choice) => choice.id === this.selectedId));

  /** The checked document, or what is wrong with it. */
  readonly checked = $derived.by((): { experiment?: Experiment; problem?: Notice } => {
    if (this.selected === undefined) return {};
    try {
      return { experiment: parseExperiment(this.withSeed(this.selected.document)) };
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
    return '';
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
      this.selectedId = PICKED;
    } catch (error) {
      this.pickProblem = toNotice(error);
    }
  }

  /** Everything a run needs. Throws PupilError where something is missing. */
  async prepare(pageBase: string): Promise<PreparedRun> {
    const { experiment, problem } = this.checked;
    if (experiment === undefined) {
      throw new PupilError('config', problem?.message ?? 'No experiment is chosen.', problem?.hint);
    }
    if (this.selected?.needsData !== true) {
      // The page serves the project's experiments/ and test/fixtures/lesson/ beside each other, as in the repository.
      return { experiment: resolvePaths(experiment, { base: 'experiments' }), files: { kind: 'http', base: pageBase } };
    }
    const resolved = bundledFrom(pageBase, resolvePaths(experiment, { base: '', data: '.' }));
    if (this.picked.length > 0) return { experiment: resolved, files: await readPicked(resolved, this.picked) };
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
