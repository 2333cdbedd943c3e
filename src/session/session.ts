// session.ts: one GPU device and at most one piece of work on it at a time: what a page's worker exposes and the command line
// drives. It joins the floors below and decides nothing about training itself.
import { PupilError } from '../base/errors';
import type { PieceStore } from '../base/pieces';
import { inspect } from '../recipes/inspect';
import { openFileRoot } from '../sources/fileRoot';
import type { OpenRoot } from '../sources/openRoot';
import { MemoryAnswerStore, type AnswerStore } from '../storage/answerStore';
import { MemoryKeptFiles, type KeptFileStore } from '../storage/keptFiles';
import { MirroredRunStore } from '../storage/mirror';
import { expectRunId, type RunStore } from '../storage/runStore';
import { MemoryVariantStore, type VariantStore } from '../storage/variantStore';
import { Asker, exampleQuestions } from './ask';
import { checkKernels } from './check';
import { RunControl } from './control';
import { DevicePlace, type GpuProvider } from './devicePlace';
import { examine } from './doctor';
import { EngineWork } from './engineWork';
import { evaluateAlone } from './evaluateAlone';
import { exportStudent } from './exportStudent';
import { estimateJudging, judgeForRequest } from './judge';
import { expectKeptName, keepFile, keptPath, readKeptFile, withKeptFiles } from './keptFiles';
import { pairTokens } from './pairTokens';
import type { PlannedStudent, PlanStudentRequest } from './planProtocol';
import { loadStudentFolder } from './load';
import { previewDemonstrations, previewTask } from './preview';
import { LoadedStudents } from './loadedStudents';
import { pretrainForRequest } from './pretrainRequest';
import { RemoteFiles } from './remoteFiles';
import type { HubSettings } from './studentSources';
import type {
  AnswerLocally,
  AskAnswer,
  AskRequest,
  CheckResult,
  CheckSummary,
  DeviceOptions,
  DoctorReport,
  EvaluateRequest,
  EvaluationRow,
  ExampleQuestions,
  ExportRequest,
  ExportSummary,
  FileRoot,
  InspectRequest,
  JudgeRequest,
  JudgeSummary,
  PretrainOutcome,
  PretrainRequest,
  PretrainStep,
  RunHistory,
  RunRequest,
  RunSummary,
  SessionApi,
  SessionEvent,
  TalkAnswer,
  TalkEvent,
  TalkRequest,
  TalkStudent,
  TalkStudentRequest,
  TaskPreview,
  TaskPreviewRequest,
  TeachEstimate,
  TeachEvent,
  TeachRequest,
  TeachSummary,
} from './protocol';
import { executeRun } from './run';
import { storedHistory } from './runHistory';
import type { ScoreTextRequest } from './scoreProtocol';
import { scoreText } from './scoreText';
import { storedArtefact, storedRuns } from './stored';
import { Talker, talkStudent } from './talk';
import { StudentCaches, type CachePlaces } from './studentCaches';
import { readExperiment } from './taskItems';
import { planStudentFolder } from './studentPlan';
import { estimateForRequest, teachForRequest, type TeachPlaces } from './teach';
import { measureVariants } from './variants';
import { safely, WorkDesk } from './workDesk';

type Listener = (event: SessionEvent) => unknown;

export class Session implements SessionApi {
  private readonly place: DevicePlace;
  private readonly desk = new WorkDesk();
  private readonly students: LoadedStudents;
  private readonly asker: Asker;
  private readonly talker: Talker;
  private readonly caches: StudentCaches;
  private readonly remote: RemoteFiles;
  private readonly engine: EngineWork;

  constructor(
    provider: GpuProvider,
    private readonly store: RunStore,
    /** Where measured variants are remembered, unless `open` names a place. */
    variantStore: VariantStore = new MemoryVariantStore(),
    measure = measureVariants,
    /** Where the answers of teachers are kept. */
    private readonly answers: AnswerStore = new MemoryAnswerStore(),
    /** Where files are kept that a person gave to the page. */
    private readonly kept: KeptFileStore = new MemoryKeptFiles(),
    /** Where students are cached. */
    cachePlaces: CachePlaces = {},
    /** Where downloads are kept until they are loaded; absent: nowhere. */
    pieces?: PieceStore,
  ) {
    this.remote = new RemoteFiles(pieces);
    this.place = new DevicePlace(provider, variantStore, measure);
    this.caches = new StudentCaches(cachePlaces);
    this.students = new LoadedStudents(store, {
      open: (root) => this.filesOf(root),
      cacheOf: (use, files) => this.caches.placeOf(use, files),
    });
    this.asker = new Asker(this.students);
    this.talker = new Talker(this.students);
    this.engine = new EngineWork({
      store,
      device: (tier) => this.place.device(tier),
      open: (root) => this.filesOf(root),
      cacheOf: (use, files) => this.caches.placeOf(use, files),
      exclusively: this.exclusively.bind(this),
    });
  }

  /**
   * Acquires the device and decides what it computes with. Called again, it gives the former one back. Throws `gpu-…`.
   */
  async open(options: DeviceOptions = {}): Promise<void> {
    await this.exclusively('open', async () => {
      this.close();
      this.caches.use(options.studentFiles);
      await this.place.open(options);
    });
  }

  setHub(settings: HubSettings): Promise<void> {
    // A bad setting is a rejection, as of every other call.
    return Promise.resolve().then(() => this.remote.set(settings));
  }

  /** Gives the device back. */
  close(): void {
    this.students.release();
    this.place.close();
  }

  doctor(): Promise<DoctorReport> {
    return examine(this.place.current, () => this.place.webGpu(), this.place.found);
  }

  check(filter: string | undefined, onResult: (result: CheckResult) => void): Promise<CheckSummary> {
    const control = new RunControl();
    const check = async (): Promise<CheckSummary> =>
      checkKernels(await this.place.device(), filter, onResult, control.signal);
    return this.exclusively('check', check, control);
  }

  weightErrors: SessionApi['weightErrors'] = (request, onWeight) => this.engine.weightErrors(request, onWeight);
  adapterNorms: SessionApi['adapterNorms'] = (runId, onProgress) => this.engine.adapterNorms(runId, onProgress);
  profileStep: SessionApi['profileStep'] = (request, onProgress) => this.engine.profileStep(request, onProgress);
  shaderFiles: SessionApi['shaderFiles'] = () => this.engine.shaderFiles();
  checkFamilies: SessionApi['checkFamilies'] = () => this.engine.checkFamilies();

  run(request: RunRequest, onEvent: Listener): Promise<RunSummary> {
    const control = new RunControl();
    return this.exclusively(
      'run',
      async () => {
        expectRunId(request.runId);
        const experiment = readExperiment(request.experiment);
        const { tier } = experiment.student;
        const gpu = await this.place.device(tier);
        const out = request.out === undefined ? undefined : openFileRoot(request.out);
        const store = out === undefined ? this.store : new MirroredRunStore(this.store, out, request.runId);
        return executeRun({
          runId: request.runId,
          experiment,
          gpu,
          files: this.filesOf(request.files, { control, onEvent }),
          students: this.caches.placeOf(request.cache, request.files),
          store,
          control,
          resume: request.resume === true,
          force: request.force === true,
          tierIsOpen: tier === 'auto' && (this.place.tier ?? 'auto') === 'auto',
          listener: safely(onEvent),
        });
      },
      control,
    );
  }

  pause(): Promise<void> {
    this.desk.expectWork('pause').control.pause();
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.desk.expectWork('resume').control.resume();
    return Promise.resolve();
  }

  step(): Promise<void> {
    this.desk.expectWork('step').control.step();
    return Promise.resolve();
  }

  stopAtPhaseEnd(on: boolean): Promise<void> {
    this.desk.expectWork('stopAtPhaseEnd').control.stopAtPhaseEnd(on);
    return Promise.resolve();
  }

  /** Resolves when the run has written its checkpoint and ended. Nothing happens where nothing runs. */
  async stop(): Promise<void> {
    const { work } = this.desk;
    if (work === undefined) return;
    work.control.stop();
    await work.ended.catch(() => undefined); // run() itself reports
  }

  inspect(request: InspectRequest): Promise<void> {
    return this.exclusively('inspect', async () => {
      const gpu = await this.place.device(this.place.tier ?? 'f32');
      const [files, out] = [this.filesOf(request.files), openFileRoot(request.out)];
      const students = this.caches.placeOf(request.cache, request.files);
      return inspect(gpu, {
        kind: request.kind,
        files,
        out,
        options: request.options,
        load: students && ((folder, quantize) => loadStudentFolder(gpu, files, folder, quantize, students)),
      });
    });
  }

  evaluate(request: EvaluateRequest, onEvent: Listener): Promise<EvaluationRow[]> {
    const control = new RunControl();
    return this.exclusively(
      'evaluate',
      async () => {
        const experiment = readExperiment(request.experiment);
        const gpu = await this.place.device(experiment.student.tier);
        return evaluateAlone({
          gpu,
          request,
          files: this.filesOf(request.files, { control, onEvent }),
          experiment,
          students: this.caches.placeOf(request.cache, request.files),
          control,
          listener: safely(onEvent),
        });
      },
      control,
    );
  }

  ask(request: AskRequest): Promise<AskAnswer> {
    const control = new RunControl();
    return this.exclusively(
      'ask',
      async () => {
        if (request.runId !== undefined) expectRunId(request.runId);
        const experiment = readExperiment(request.experiment);
        return this.asker.ask(await this.place.device(experiment.student.tier), request, experiment, control.signal);
      },
      control,
    );
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

  talk(request: TalkRequest, onEvent: (event: TalkEvent) => unknown): Promise<TalkAnswer> {
    const control = new RunControl();
    return this.exclusively(
      'talk',
      () => this.talker.talk(request, (tier) => this.place.device(tier), control.signal, safely(onEvent)),
      control,
    );
  }

  pairTokens: SessionApi['pairTokens'] = (request, onEvent) => {
    const control = new RunControl();
    const { students, store } = this;
    const deviceOf: DevicePlace['device'] = (tier) => this.place.device(tier);
    const places = { students, store, deviceOf, signal: control.signal };
    return this.exclusively('pairTokens', () => pairTokens(request, places, safely(onEvent)), control);
  };

  exportStudent(request: ExportRequest): Promise<ExportSummary> {
    const [files, out] = [this.filesOf(request.files), openFileRoot(request.out)];
    return this.exclusively('export', () => exportStudent({ ...request, files, out, gpu: () => this.place.device() }));
  }

  pretrain(request: PretrainRequest, onStep: (step: PretrainStep) => unknown): Promise<PretrainOutcome> {
    const control = new RunControl();
    return this.exclusively(
      'pretrain',
      async () => pretrainForRequest(await this.place.device(), request, safely(onStep), control.signal),
      control,
    );
  }

  estimateTeaching(request: TeachRequest): Promise<TeachEstimate> {
    return estimateForRequest(request, this.teachPlaces());
  }

  teach(request: TeachRequest, onEvent: (event: TeachEvent) => unknown, answer?: AnswerLocally): Promise<TeachSummary> {
    const control = new RunControl();
    const options = { ...this.teachPlaces(), control, onEvent: safely(onEvent), answer };
    return this.exclusively('teach', () => teachForRequest(request, options), control);
  }

  estimateJudging: SessionApi['estimateJudging'] = (request) => estimateJudging(request, this.answers);

  judge(request: JudgeRequest, onEvent: (event: TeachEvent) => unknown): Promise<JudgeSummary> {
    const control = new RunControl();
    const options = { answers: this.answers, control, onEvent: safely(onEvent) };
    return this.exclusively('judge', () => judgeForRequest(request, options), control);
  }

  previewDemonstrations: SessionApi['previewDemonstrations'] = (request) =>
    previewDemonstrations(request, this.filesOf(request.files));

  planStudent(request: PlanStudentRequest): Promise<PlannedStudent> {
    return planStudentFolder(request, this.filesOf(request.files), this.place.current?.limits);
  }

  scoreText(request: ScoreTextRequest): ReturnType<SessionApi['scoreText']> {
    return Promise.resolve(request).then(scoreText);
  }

  previewTask(request: TaskPreviewRequest): Promise<TaskPreview> {
    return previewTask(request, this.filesOf(request.files ?? { kind: 'memory', files: {} }));
  }

  keepFile: SessionApi['keepFile'] = (fileName, bytes) => keepFile(this.kept, fileName, bytes);
  keptFile: SessionApi['keptFile'] = async (path) => readKeptFile(this.kept, path);
  deleteKeptFile: SessionApi['deleteKeptFile'] = async (path) => this.kept.deleteFile(expectKeptName(path));
  keptFiles: SessionApi['keptFiles'] = async () =>
    (await this.kept.listFiles()).map(({ name, sizeBytes }) => ({ path: keptPath(name), sizeBytes }));

  cachedStudents: SessionApi['cachedStudents'] = () => this.caches.list();
  verifyCachedStudent: SessionApi['verifyCachedStudent'] = (key) => this.caches.verify(key);
  deleteCachedStudent: SessionApi['deleteCachedStudent'] = (key) => this.caches.delete(key);

  runHistory(runId: string): Promise<RunHistory | undefined> {
    return storedHistory(this.store, expectRunId(runId));
  }

  listRuns: SessionApi['listRuns'] = () => storedRuns(this.store);

  async deleteRun(runId: string): Promise<void> {
    if (this.desk.work !== undefined) {
      throw new PupilError('usage', 'deleteRun: expected no run under way', 'Stop it first.');
    }
    this.students.release(); // they may hold the run's adapters
    await this.store.deleteRun(expectRunId(runId));
  }

  listArtefacts: SessionApi['listArtefacts'] = async (runId) => this.store.listArtefacts(expectRunId(runId));
  artefact: SessionApi['artefact'] = async (runId, path) => storedArtefact(this.store, expectRunId(runId), path);

  /** A request's files, with the kept ones and models that lie elsewhere beside them. */
  private filesOf(root: FileRoot, work?: { control: RunControl; onEvent: Listener }): OpenRoot {
    const listener = work === undefined ? undefined : safely(work.onEvent);
    return this.remote.beside(withKeptFiles(openFileRoot(root), this.kept), {
      ...(work === undefined ? {} : { signal: work.control.signal }),
      onWarning: (message) => listener?.({ type: 'log', level: 'warning', message }),
    });
  }

  private teachPlaces(): TeachPlaces {
    return { answers: this.answers, open: (root) => this.filesOf(root) };
  }

  /** One piece of work at a time. Some is done with what is loaded; all other work has the device to itself. */
  private exclusively<T>(what: string, work: () => Promise<T>, control?: RunControl): Promise<T> {
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
