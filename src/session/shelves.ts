// shelves.ts: the half of a session that needs no GPU: what it reads, lists, keeps and deletes, and the places it was given.
// Work on the device is session.ts, which builds on this.
import type { PieceStore } from '../base/pieces';
import { openFileRoot } from '../sources/fileRoot';
import type { OpenRoot } from '../sources/openRoot';
import { MemoryAnswerStore, type AnswerStore } from '../storage/answerStore';
import { MemoryKeptFiles, type KeptFileStore } from '../storage/keptFiles';
import { expectRunId, type RunStore } from '../storage/runStore';
import { MemoryVariantStore, type VariantStore } from '../storage/variantStore';
import { exampleQuestions } from './ask';
import type { RunControl } from './control';
import { DevicePlace, type GpuProvider } from './devicePlace';
import { estimateJudging } from './judge';
import { expectKeptName, keepFile, keptPath, readKeptFile, withKeptFiles } from './keptFiles';
import type { PlannedStudent, PlanStudentRequest } from './planProtocol';
import { previewDemonstrations, previewTask } from './preview';
import { LoadedStudents } from './loadedStudents';
import { RemoteFiles } from './remoteFiles';
import type { HubSettings } from './studentSources';
import type {
  AskRequest,
  CachedStudent,
  DemonstrationsPreview,
  DemonstrationsPreviewRequest,
  ExampleQuestions,
  FileRoot,
  JudgeRequest,
  RunHistory,
  SessionApi,
  SessionEvent,
  TalkStudent,
  TalkStudentRequest,
  TaskPreview,
  TaskPreviewRequest,
  TeachEstimate,
  TeachRequest,
  VerifiedStudent,
} from './protocol';
import { StoredResults } from './results';
import { RunFiles } from './runFiles';
import { storedHistory } from './runHistory';
import type { ScoreTextRequest } from './scoreProtocol';
import { scoreText } from './scoreText';
import { talkStudent } from './talk';
import { StudentCaches, type CachePlaces } from './studentCaches';
import { readExperiment } from './taskItems';
import { planStudentFolder } from './studentPlan';
import { estimateForRequest, type TeachPlaces } from './teach';
import { measureVariants } from './variants';
import { safely, WorkDesk } from './workDesk';

type Listener = (event: SessionEvent) => unknown;

export class SessionShelves {
  protected readonly place: DevicePlace;
  protected readonly desk = new WorkDesk();
  protected readonly students: LoadedStudents;
  protected readonly caches: StudentCaches;
  protected readonly results: StoredResults;
  private readonly remote: RemoteFiles;
  private readonly runFiles: RunFiles;

  constructor(
    provider: GpuProvider,
    protected readonly store: RunStore,
    /** Where measured variants are remembered, unless `open` names a place. */
    variantStore: VariantStore = new MemoryVariantStore(),
    measure = measureVariants,
    /** Where the answers of teachers are kept. */
    protected readonly answers: AnswerStore = new MemoryAnswerStore(),
    /** Where files are kept that a person gave to the page. */
    private readonly kept: KeptFileStore = new MemoryKeptFiles(),
    /** Where students are cached. */
    cachePlaces: CachePlaces = {},
    /** Where downloads are kept until they are loaded; absent: nowhere. */
    pieces?: PieceStore,
  ) {
    this.remote = new RemoteFiles(pieces);
    this.results = new StoredResults(store);
    this.place = new DevicePlace(provider, variantStore, measure);
    this.caches = new StudentCaches(cachePlaces);
    this.students = new LoadedStudents(store, {
      open: (root) => this.filesOf(root),
      cacheOf: (use, files) => this.caches.placeOf(use, files),
    });
    this.runFiles = new RunFiles(store, {
      expectRest: (what) => this.desk.expectRest(what),
      release: () => this.students.release(),
      open: (root) => this.filesOf(root),
      exclusively: (what, work) => this.exclusively(what, work),
      device: () => this.place.device(),
    });
  }

  setHub(settings: HubSettings): Promise<void> {
    // A bad setting is a rejection, as of every other call.
    return Promise.resolve().then(() => this.remote.set(settings));
  }

  exampleQuestions({
    experiment,
    files,
    cache,
  }: Pick<AskRequest, 'experiment' | 'files' | 'cache'>): Promise<ExampleQuestions> {
    return exampleQuestions(readExperiment(experiment), this.filesOf(files), this.caches.placeOf(cache, files));
  }

  talkStudent(request: TalkStudentRequest): Promise<TalkStudent> {
    return talkStudent(request, this.students);
  }

  estimateTeaching(request: TeachRequest): Promise<TeachEstimate> {
    return estimateForRequest(request, this.teachPlaces());
  }

  estimateJudging(request: JudgeRequest): Promise<TeachEstimate> {
    return estimateJudging(request, this.answers);
  }

  readonly paperResults: SessionApi['paperResults'] = (request) => this.results.paper(request);
  readonly comparePaired: SessionApi['comparePaired'] = (...sides) => this.results.compare(...sides);
  readonly estimateJudgingRuns: SessionApi['estimateJudgingRuns'] = (request) =>
    this.results.estimateJudging(request, this.answers);

  previewDemonstrations(request: DemonstrationsPreviewRequest): Promise<DemonstrationsPreview> {
    return previewDemonstrations(request, this.filesOf(request.files));
  }

  planStudent(request: PlanStudentRequest): Promise<PlannedStudent> {
    return planStudentFolder(request, this.filesOf(request.files), this.place.current?.limits);
  }

  scoreText(request: ScoreTextRequest): ReturnType<SessionApi['scoreText']> {
    return Promise.resolve(request).then(scoreText);
  }

  previewTask(request: TaskPreviewRequest): Promise<TaskPreview> {
    return previewTask(request, this.filesOf(request.files ?? { kind: 'memory', files: {} }));
  }

  keepFile(fileName: string, bytes: Uint8Array): Promise<string> {
    return keepFile(this.kept, fileName, bytes);
  }

  async keptFiles(): Promise<{ path: string; sizeBytes: number }[]> {
    return (await this.kept.listFiles()).map(({ name, sizeBytes }) => ({ path: keptPath(name), sizeBytes }));
  }

  async keptFile(path: string): Promise<Uint8Array> {
    return readKeptFile(this.kept, path);
  }

  async deleteKeptFile(path: string): Promise<void> {
    await this.kept.deleteFile(expectKeptName(path));
  }

  cachedStudents(): Promise<CachedStudent[]> {
    return this.caches.list();
  }

  verifyCachedStudent(key: string): Promise<VerifiedStudent> {
    return this.caches.verify(key);
  }

  deleteCachedStudent(key: string): Promise<void> {
    return this.caches.delete(key);
  }

  runHistory(runId: string): Promise<RunHistory | undefined> {
    return storedHistory(this.store, expectRunId(runId));
  }

  listRuns: SessionApi['listRuns'] = () => this.runFiles.listRuns();
  deleteRun: SessionApi['deleteRun'] = (runId) => this.runFiles.deleteRun(runId);
  listArtefacts: SessionApi['listArtefacts'] = (runId) => this.runFiles.listArtefacts(runId);
  artefact: SessionApi['artefact'] = (runId, path) => this.runFiles.artefact(runId, path);
  runOverviews: SessionApi['runOverviews'] = () => this.runFiles.runOverviews();
  runDetails: SessionApi['runDetails'] = (runId) => this.runFiles.runDetails(runId);
  renameRun: SessionApi['renameRun'] = (runId, label) => this.runFiles.renameRun(runId, label);
  deleteCheckpoints: SessionApi['deleteCheckpoints'] = (runId) => this.runFiles.deleteCheckpoints(runId);
  exportRun: SessionApi['exportRun'] = (request, onProgress) => this.runFiles.exportRun(request, safely(onProgress));
  importRun: SessionApi['importRun'] = (request, onProgress) => this.runFiles.importRun(request, safely(onProgress));

  /** A request's files, with the kept ones and models that lie elsewhere beside them. */
  protected filesOf(root: FileRoot, work?: { control: RunControl; onEvent: Listener }): OpenRoot {
    const listener = work === undefined ? undefined : safely(work.onEvent);
    return this.remote.beside(withKeptFiles(openFileRoot(root), this.kept), {
      ...(work === undefined ? {} : { signal: work.control.signal }),
      onWarning: (message) => listener?.({ type: 'log', level: 'warning', message }),
    });
  }

  protected teachPlaces(): TeachPlaces {
    return { answers: this.answers, open: (root) => this.filesOf(root) };
  }

  /** One piece of work at a time. Some is done with what is loaded; all other work has the device to itself. */
  protected exclusively<T>(what: string, work: () => Promise<T>, control?: RunControl): Promise<T> {
    return this.desk.exclusively(
      what,
      () => {
        if (!['ask', 'talk', 'pairTokens'].includes(what)) this.students.release();
        return work();
      },
      control,
    );
  }
}
