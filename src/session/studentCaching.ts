// studentCaching.ts: when a student comes from the cache, when it goes into it, and what happens where the cache fails: the
// student is loaded from its source, and that is said. Which bytes lie where is studentSink.ts and storage/studentCache.ts.
// What is decided here, and why, is docs/decisions/0009.
import { PupilError } from '../base/errors';
import type { ProgressListener } from '../base/progress';
import type { Experiment } from '../config/experiment';
import { bareUrl } from '../config/studentFolder';
import type { ByteSource, OpenFile } from '../formats/byteSource';
import { readWhole } from '../formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../formats/checkpointIndex';
import { COMPANION_FILES, MAX_COMPANION_BYTES } from '../formats/companionFiles';
import type { JsonObject } from '../formats/jsonText';
import type { ModelConfig } from '../formats/modelConfig';
import { studentKey, type StudentManifest, type StudentOrigin } from '../formats/studentManifest';
import type { Gpu } from '../gpu/device';
import { Student } from '../model/student';
import { rootHolding, type FileRoot } from '../sources/fileRoot';
import type { StudentCache } from '../storage/studentCache';
import type { CacheUse } from './studentProtocol';
import { settingsOf, StudentSink } from './studentSink';

export interface StudentNote {
  level: 'info' | 'warning';
  message: string;
}

/** The cache, what is asked of it, and where the experiment's files are. */
export interface StudentPlace {
  cache: StudentCache;
  /** Absent: `auto`. */
  use: CacheUse | undefined;
  root: FileRoot;
}

/** What of an experiment's student decides where its weights come from and how they are packed. */
export type StudentChoice = Pick<Experiment['student'], 'source' | 'quantize'>;

interface LoadOptions {
  quantize: StudentChoice['quantize'];
  onProgress: ProgressListener;
  signal: AbortSignal;
}

/** The parts of an opened student that the cache deals with; load.ts has all of it. */
export interface PlainStudent {
  checkpoint: Checkpoint;
  config: ModelConfig;
  /** `source`: where it is, with the commit where that is known. */
  report: { fingerprint: string; source: string };
  caching?: StudentCaching;
  notes: StudentNote[];
}

/** How a student is opened from some files. */
interface StudentOpener<T extends PlainStudent> {
  student: StudentChoice;
  /** In words, for messages and reports. */
  source: string;
  /** The files of its source. */
  open: OpenFile;
  /** @param cached the manifest of the entry that the files are of */
  read: (open: OpenFile, cached?: StudentManifest) => Promise<T>;
}

/** The config of the checkpoint that an entry was made from: ours says in addition how it was packed. */
export function uncachedConfig(config: JsonObject, cached: StudentManifest | undefined): JsonObject {
  if (cached === undefined || cached.settings.quantize === 'none') return config;
  const { quantization_config: _ours, ...rest } = config;
  return rest;
}

/** Picked in a page: read once more only where a person picks them once more. */
const PICKED: ReadonlySet<string> = new Set(['blobs']);

/** What a student behind a network is found by; undefined for files at hand. No user names, no tokens. */
function networkAddress({ source }: StudentChoice, root: FileRoot): string | undefined {
  if ('repo' in source) {
    const { repo, revision = 'main', endpoint } = source as { repo: string; revision?: string; endpoint?: string };
    return `hub:${repo}@${revision}${endpoint === undefined ? '' : ` at ${bareUrl(endpoint)}`}`;
  }
  if (source.kind === 'url') return bareUrl(source.url);
  if (source.kind !== 'directory') return undefined;
  // A folder may be named by what it is elsewhere.
  if (source.path.startsWith('hub:')) return source.path;
  if (/^https?:/i.test(source.path)) return bareUrl(source.path);
  if (root.kind !== 'http') return undefined;
  // The page's own server hands out what is on this machine already: bundled files, or the command line's.
  const own = (globalThis.location as Location | undefined)?.origin;
  return new URL(root.base).origin === own ? undefined : bareUrl(`${root.base}${source.path}`);
}

/** Whether the cache has a part in this student. */
function isWanted(
  { source }: StudentChoice,
  { use = 'auto', root }: StudentPlace,
  address: string | undefined,
): boolean {
  if (use !== 'auto') return use !== 'off';
  if (source.kind === 'bundled') return false;
  return address !== undefined || PICKED.has(root.kind);
}

/** What went wrong in an entry, not on the GPU or by a person's will. */
const OF_FILES: ReadonlySet<string> = new Set(['storage', 'format', 'checkpoint', 'text', 'source']);

const isOfFiles = (error: unknown): boolean => error instanceof PupilError && OF_FILES.has(error.code);

const told = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Opens a student with the cache: from its entry where there is one, else from its source, to be cached when it is loaded. A
 * student behind a network is found by its address, so nothing is asked of the network; one at hand by what it is.
 */
export async function openWithCache<T extends PlainStudent>(place: StudentPlace, opener: StudentOpener<T>): Promise<T> {
  const { student } = opener;
  // The folder of a student may be another root's than the experiment's other files.
  const root = student.source.kind === 'directory' ? rootHolding(place.root, student.source.path) : place.root;
  const address = networkAddress(student, root);
  if (!isWanted(student, { ...place, root }, address)) return opener.read(opener.open);
  const caching = new StudentCaching(place.cache, opener, address, place.use === 'refresh');
  return caching.open() as Promise<T>;
}

/** One student and the cache. */
export class StudentCaching {
  /** The entry that the weights come from. */
  private entry: StudentManifest | undefined;
  private readonly versions: Record<string, string> = {};
  private readonly notes: StudentNote[] = [];
  private readonly settings;
  private readonly source: OpenFile;
  private readonly small = new SmallFiles();

  constructor(
    private readonly cache: StudentCache,
    private readonly opener: StudentOpener<PlainStudent>,
    private readonly address: string | undefined,
    private readonly refresh: boolean,
  ) {
    this.settings = settingsOf(opener.student.quantize);
    this.source = this.small.remembering(recordVersions(opener.open, this.versions));
  }

  async open(): Promise<PlainStudent> {
    const left = await this.try('looking into it', () => this.cache.sweep());
    if (left !== undefined && left.length > 0) {
      this.note('info', `student cache: took away ${left.length} that had not been written to the end`);
    }
    const opened = (await this.openEntry()) ?? (await this.openSource());
    return { ...opened, caching: this, notes: this.notes };
  }

  /** The weights: from the entry; where it turns out to be damaged, or there is none, from the source and into the cache. */
  async load(gpu: Gpu, opened: PlainStudent, options: LoadOptions): Promise<Student> {
    if (this.entry !== undefined) {
      const student = await this.loadEntry(this.entry, gpu, options);
      if (student !== undefined) return student;
    }
    return this.loadSource(gpu, await this.atSource(opened), options);
  }

  /** Work with the files of the weights: those of the entry, or, where there is none or it is damaged, of the source. */
  async reading<T>(opened: PlainStudent, work: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
    if (this.entry !== undefined) {
      const read = async (open: OpenFile): Promise<{ value: T }> => {
        return { value: await work(await openCheckpoint(open, this.opener.source)) };
      };
      const done = await this.fromEntry(this.entry, read);
      if (done !== undefined) return done.value;
    }
    return work((await this.atSource(opened)).checkpoint);
  }

  /** Without asking a network, where the student is behind one. */
  private async openEntry(): Promise<PlainStudent | undefined> {
    if (this.refresh || this.address === undefined) return undefined;
    const { address } = this;
    const entry = await this.try('looking into it', () => this.cache.findAddress(address, this.settings));
    if (entry === undefined) return undefined;
    return this.fromEntry(entry, async (open) => {
      const opened = await this.opener.read(open, entry);
      this.entry = entry;
      return opened;
    });
  }

  private async openSource(): Promise<PlainStudent> {
    const opened = await this.opener.read(this.source);
    if (this.refresh || this.address !== undefined) return opened;
    const key = await this.keyOf(opened);
    this.entry = await this.try('looking into it', () => this.cache.find(key));
    return opened;
  }

  private loadEntry(entry: StudentManifest, gpu: Gpu, options: LoadOptions): Promise<Student | undefined> {
    return this.fromEntry(entry, async (open) => {
      const checkpoint = await openCheckpoint(open, this.opener.source);
      const student = await Student.load(gpu, checkpoint, {
        ...options,
        alreadyQuantized: entry.settings.quantize !== 'none',
        onProgress: (progress) => options.onProgress({ ...progress, task: 'Loading student from the cache' }),
      });
      await this.cache.touch(entry.key);
      this.note('info', `student: from the cache of ${this.cache.description}, made ${entry.madeAt} (${entry.key})`);
      return student;
    });
  }

  /** Work with an entry; undefined, and the entry dropped, where its files are not what they were. */
  private async fromEntry<T>(entry: StudentManifest, work: (open: OpenFile) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.cache.read(entry.key, async ({ open, damage }) => {
        try {
          return await work(open);
        } catch (error) {
          if (damage.length === 0) throw error;
          throw new Damaged(damage.join('; '), { cause: error });
        }
      });
    } catch (error) {
      if (!(error instanceof Damaged)) {
        if (!isOfFiles(error)) throw error;
        // Every byte is as it was written: it may be gone meanwhile, or this experiment needs other files than the last.
        this.note('warning', `student cache: ${told(error)}; the student is loaded from ${this.opener.source}`);
        return undefined;
      }
      const gone = await this.try('deleting a damaged student', () => this.cache.delete(entry.key).then(() => true));
      this.note(
        'warning',
        `student cache: the cached student is damaged (${error.message}); it was ${gone === true ? 'deleted' : 'left alone'}, and the student is loaded from ${this.opener.source}`,
      );
      return undefined;
    }
  }

  /** The student at its source: the one that was opened, unless that came from the entry. */
  private async atSource(opened: PlainStudent): Promise<PlainStudent> {
    if (this.entry === undefined || this.address === undefined) return opened;
    const fresh = await this.opener.read(this.source);
    if (fresh.report.fingerprint === opened.report.fingerprint) return fresh;
    throw new PupilError(
      'checkpoint',
      `student: the cached student ${opened.report.fingerprint} is damaged, and its source ${this.opener.source} holds another one now (${fresh.report.fingerprint})`,
      'Start again: the student of the source is taken then.',
    );
  }

  private async loadSource(gpu: Gpu, opened: PlainStudent, options: LoadOptions): Promise<Student> {
    const { checkpoint, config } = opened;
    const key = await this.keyOf(opened);
    const origin: StudentOrigin = {
      source: this.nameOf(opened),
      ...(this.address === undefined ? {} : { address: this.address }),
      fingerprint: opened.report.fingerprint,
      settings: this.settings,
    };
    const onFailure = (error: unknown): void => {
      const hint = error instanceof PupilError && error.hint !== undefined ? ` ${error.hint}` : '';
      this.note('warning', `student cache: the student is not cached: ${told(error)}${hint}`);
    };
    const copy = { key, origin, checkpoint, config, open: this.source };
    const sink = await StudentSink.begin(this.cache, copy, onFailure);
    try {
      const student = await Student.load(gpu, checkpoint, { ...options, ...(sink === undefined ? {} : { sink }) });
      if ((await sink?.commit()) === true) {
        this.note('info', `student: from ${origin.source}, cached in ${this.cache.description} as ${key}`);
      }
      return student;
    } catch (error) {
      await sink?.abort();
      throw error;
    } finally {
      this.small.forget();
    }
  }

  private keyOf(opened: PlainStudent): Promise<string> {
    const { fingerprint } = opened.report;
    return studentKey({ source: this.nameOf(opened), fingerprint, versions: this.versions }, this.settings);
  }

  /** Of a model of the Hub its name with the commit that was read; of an address nothing but where it is. */
  private nameOf({ report }: PlainStudent): string {
    return report.source.startsWith('hub:') ? report.source : (this.address ?? this.opener.source);
  }

  /** Work with the cache itself, whose failure costs time only. */
  private async try<T>(doing: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.note('warning', `student cache: ${doing} failed: ${told(error)}`);
      return undefined;
    }
  }

  private note(level: StudentNote['level'], message: string): void {
    this.notes.push({ level, message });
  }
}

/** An entry whose files are not what they were. */
class Damaged extends Error {}

/** Notes the version of each file that is opened, where its place knows one. */
function recordVersions(open: OpenFile, versions: Record<string, string>): OpenFile {
  return async (path) => {
    const file = await open(path);
    const isStudents = path === 'config.json' || path.endsWith('.safetensors');
    if (file !== undefined && isStudents) versions[path] = `${file.size} ${file.version ?? ''}`;
    return file;
  };
}

/** The small files beside the weights are read for the tokenizer and for the cache: from their source once. */
class SmallFiles {
  private readonly known = new Map<string, Promise<ByteSource | undefined>>();

  remembering(open: OpenFile): OpenFile {
    const small = new Set<string>(COMPANION_FILES);
    const fetchSmall = async (path: string): Promise<ByteSource | undefined> => {
      const file = await open(path);
      if (file === undefined) return undefined;
      const bytes = await readWhole(file, MAX_COMPANION_BYTES);
      return { name: file.name, size: file.size, read: (start, end) => Promise.resolve(bytes.subarray(start, end)) };
    };
    return (path) => {
      if (!small.has(path)) return open(path);
      const found = this.known.get(path) ?? fetchSmall(path);
      this.known.set(path, found);
      found.catch(() => this.known.delete(path)); // the next time it may be there
      return found;
    };
  }

  forget(): void {
    this.known.clear();
  }
}
