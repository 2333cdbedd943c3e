// loadedStudents.ts: a student's weights on the GPU, loaded once, and whatever is put on them in turn: adapters of stored runs or
// of folders, and generators over each. The least recently used go first. What is asked of them is the business
// of ask.ts, talk.ts and pairTokens.ts.
import { PupilError } from '../base/errors';
import type { ProgressListener } from '../base/progress';
import type { StudentConfig } from '../config/experiment';
import type { SystemName } from '../config/systems';
import { readAdapterNote } from '../formats/adapterNote';
import type { Gpu } from '../gpu/device';
import { Adapter } from '../model/adapter';
import { Generator, type GeneratorOptions } from '../model/generator';
import type { Student } from '../model/student';
import { filesIn, loadAdapterFile } from '../recipes/files';
import type { FileRoot } from '../sources/fileRoot';
import { openMemoryRoot } from '../sources/memory';
import type { OpenRoot } from '../sources/openRoot';
import type { RunStore } from '../storage/runStore';
import { adapterFolder } from './artefacts';
import { loadStudentWeights, openStudent, type OpenedStudent } from './load';
import type { StudentPlace } from './studentCaching';
import type { CacheRequest, CacheUse } from './studentProtocol';

/** Where an adapter is: a stored run's system, or a PEFT folder. */
export type AdapterPlace =
  { kind: 'run'; runId: string | undefined; system: SystemName } | { kind: 'folder'; files: FileRoot; path: string };

/** A student as it is asked for. */
export interface AskedStudent extends CacheRequest {
  files: FileRoot;
  student: StudentConfig;
}

/** Where students come from. */
export interface StudentPlaces {
  /** The files of a root, and models that lie elsewhere. */
  open: (root: FileRoot) => OpenRoot;
  /** Where they are cached; undefined: nowhere. */
  cacheOf: (use: CacheUse | undefined, files: FileRoot) => StudentPlace | undefined;
}

/** One student, or one with an adapter. */
export interface WantedStudent {
  gpu: Gpu;
  student: StudentConfig;
  opened: OpenedStudent;
  /** Absent: the untouched student. */
  adapter?: AdapterPlace;
  onProgress?: ProgressListener;
  signal: AbortSignal;
}

/** One that is to generate. */
export interface Wanted extends WantedStudent {
  options: GeneratorOptions;
}

/** What is kept for the next question: systems of one run and as many others. */
const KEEP = { adapters: 4, generators: 4, generatorBytes: 2 ** 30 };

interface KeptAdapter {
  place: AdapterPlace;
  adapter: Adapter;
  /** Trained over other values than the student has here, in words. */
  warning?: string;
}

interface KeptGenerator {
  adapterKey: string;
  generator: Generator;
}

interface Base {
  key: string;
  gpu: Gpu;
  student: Student;
}

/** Whether a root says by its address what is in it. Contents at hand may have changed under the same names. */
const isAddress = ({ kind }: FileRoot): boolean => kind === 'http' || kind === 'disk' || kind === 'hub';

/** The untouched student among the keys of adapters. */
const NO_ADAPTER = '';

export class LoadedStudents {
  private base: Base | undefined;
  private opened: { key: string; student: OpenedStudent } | undefined;
  // Maps in the order of use: the least recent first.
  private readonly adapters = new Map<string, KeptAdapter>();
  private readonly generators = new Map<string, KeptGenerator>();

  constructor(
    private readonly store: RunStore,
    private readonly places: StudentPlaces,
  ) {}

  /** Gives back everything. */
  release(): void {
    this.releaseWeights();
    this.opened = undefined;
  }

  /** Config, tokenizer and fingerprint. Contents at hand are read anew. */
  async open({ files, student, cache }: AskedStudent): Promise<OpenedStudent> {
    const key = isAddress(files) ? JSON.stringify([files, student]) : '';
    if (key !== '' && this.opened?.key === key) return this.opened.student;
    const opened = await openStudent({ student }, this.places.open(files), this.places.cacheOf(cache, files));
    this.opened = { key, student: opened };
    return opened;
  }

  /**
   * A generator over the student, and what a person should know of its adapter. Whatever of it is there is used again: a
   * student that is loaded stays, an adapter that was put on stays beside the others.
   * @throws PupilError `storage` where a run left no such adapter; `source` where a folder has none; `checkpoint` where it
   *   belongs to another student; `cancelled`.
   */
  async generator(wanted: Wanted): Promise<{ generator: Generator; warning?: string }> {
    const { student } = await this.load(wanted);
    const { key: adapterKey, kept } = await this.attach(student, wanted);
    const key = JSON.stringify([adapterKey, wanted.options]);
    const known = this.generators.get(key);
    this.generators.delete(key);
    const generator = known?.generator ?? (await this.make(student, kept?.adapter, wanted.options));
    this.generators.set(key, { adapterKey, generator });
    this.shrink();
    return { generator, ...(kept?.warning === undefined ? {} : { warning: kept.warning }) };
  }

  /**
   * The student with the adapter on it, for other work than generating. They are kept as a generator's are: an adapter lasts
   * until several others were asked for.
   * @throws PupilError as {@link LoadedStudents.generator}
   */
  async adapted(wanted: WantedStudent): Promise<{ student: Student; adapter?: Adapter; warning?: string }> {
    const { student } = await this.load(wanted);
    const { kept } = await this.attach(student, wanted);
    this.shrink();
    if (kept === undefined) return { student };
    return { student, adapter: kept.adapter, ...(kept.warning === undefined ? {} : { warning: kept.warning }) };
  }

  /** Gives back the adapters for which `which` holds, and what generates with them. */
  detach(which: (place: AdapterPlace) => boolean): void {
    for (const [key, { place, adapter }] of this.adapters) {
      if (!which(place)) continue;
      for (const [generatorKey, { adapterKey, generator }] of this.generators) {
        if (adapterKey !== key) continue;
        generator.destroy();
        this.generators.delete(generatorKey);
      }
      adapter.destroy();
      this.adapters.delete(key);
    }
  }

  private releaseWeights(): void {
    this.detach(() => true);
    for (const { generator } of this.generators.values()) generator.destroy();
    this.generators.clear();
    this.base?.student.destroy();
    this.base = undefined;
  }

  /** The student; the one before it is given back, with all that is on it. */
  private async load({ gpu, student: config, opened, onProgress, signal }: WantedStudent): Promise<Base> {
    const key = JSON.stringify([opened.report.fingerprint, config, gpu.tier]);
    if (this.base?.key === key && this.base.gpu === gpu) return this.base;
    this.releaseWeights();
    const student = await loadStudentWeights(gpu, { student: config }, opened, onProgress ?? (() => undefined), signal);
    return (this.base = { key, gpu, student });
  }

  /** The adapter on the student. One whose files are contents at hand is read anew. */
  private async attach(student: Student, wanted: WantedStudent): Promise<{ key: string; kept?: KeptAdapter }> {
    const { adapter: place, opened } = wanted;
    if (place === undefined || (place.kind === 'run' && adapterFolder(place.system) === undefined)) {
      return { key: NO_ADAPTER };
    }
    const lasts = place.kind === 'run' || isAddress(place.files);
    const key = JSON.stringify(lasts ? place : [place.path]);
    const known = this.adapters.get(key);
    if (known !== undefined && lasts) {
      this.adapters.delete(key);
      this.adapters.set(key, known);
      return { key, kept: known };
    }
    const kept = await this.read(student, place, opened);
    this.detach((other) => this.adapters.get(key)?.place === other);
    this.adapters.set(key, kept);
    return { key, kept };
  }

  private async read(student: Student, place: AdapterPlace, opened: OpenedStudent): Promise<KeptAdapter> {
    const { root, folder, label } = await this.filesOf(place);
    const note = await readAdapterNote(filesIn(root, folder));
    const { fingerprint } = opened.report;
    const quantize = student.quantization;
    const sameValues = note === undefined || note.student.quantize === quantize;
    if (note !== undefined && (note.student.fingerprint !== fingerprint || (place.kind === 'run' && !sameValues))) {
      throw new PupilError(
        'checkpoint',
        `${label}: expected an adapter of the student ${fingerprint} (${quantize}), it was trained on ${note.student.fingerprint} (${note.student.quantize})`,
        'Ask with the experiment and the student of that run.',
      );
    }
    const adapter = Adapter.fromPeft(student, await loadAdapterFile(root, folder));
    if (sameValues) return { place, adapter };
    const warning = `${label} was trained over weights held as ${note.student.quantize}, here they are ${quantize}: its answers may differ from those of its training`;
    return { place, adapter, warning };
  }

  private async filesOf(place: AdapterPlace): Promise<{ root: OpenRoot; folder: string; label: string }> {
    if (place.kind === 'folder') {
      return { root: this.places.open(place.files), folder: place.path, label: `adapter: ${place.path}` };
    }
    const { runId, system } = place;
    const folder = adapterFolder(system)!;
    if (runId === undefined) {
      throw new PupilError('usage', `adapter: expected a run whose ${system} student is asked, none was named`);
    }
    const files: Record<string, Uint8Array> = {};
    for (const path of await this.store.listArtefacts(runId)) {
      if (path.startsWith(`${folder}/`)) files[path] = (await this.store.loadArtefact(runId, path))!;
    }
    if (Object.keys(files).length === 0) {
      throw new PupilError(
        'storage',
        `adapter: run ${runId}: expected its ${system} student in ${folder}/, there is none`,
        'The run has no such phase, has not come so far, or keeps its files elsewhere.',
      );
    }
    return { root: openMemoryRoot(files), folder, label: `adapter: run ${runId}` };
  }

  private async make(student: Student, adapter: Adapter | undefined, options: GeneratorOptions): Promise<Generator> {
    const generator = new Generator(student, adapter, options);
    try {
      await generator.ready();
      return generator;
    } catch (error) {
      generator.destroy();
      throw error;
    }
  }

  /** Down to what is kept; the most recent generator and its adapter stay whatever they hold. */
  private shrink(): void {
    const bytes = (): number => [...this.generators.values()].reduce((sum, one) => sum + one.generator.sizeBytes, 0);
    for (const [key, { generator }] of this.generators) {
      if (this.generators.size <= 1) break;
      if (this.generators.size <= KEEP.generators && bytes() <= KEEP.generatorBytes) break;
      generator.destroy();
      this.generators.delete(key);
    }
    for (const { place } of [...this.adapters.values()].slice(0, -KEEP.adapters)) {
      this.detach((other) => other === place);
    }
  }
}
