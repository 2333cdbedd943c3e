// session.ts: one GPU device and at most one piece of work on it at a time: what a page's worker exposes and the command line
// drives. It joins the floors below and decides nothing about training itself.
import { inspect } from '../recipes/inspect';
import { openFileRoot } from '../sources/fileRoot';
import { MirroredRunStore } from '../storage/mirror';
import { expectRunId } from '../storage/runStore';
import { Asker } from './ask';
import type { ApiWorkOptions } from './apiWork';
import { checkKernels } from './check';
import { RunControl } from './control';
import { examine } from './doctor';
import { EngineWork } from './engineWork';
import { evaluateAlone } from './evaluateAlone';
import { exportStudent } from './exportStudent';
import { judgeForRequest } from './judge';
import { Pace } from './pace';
import { loadStudentFolder } from './load';
import { pairTokens, type PairTokensPlaces } from './pairTokens';
import { pretrainForRequest } from './pretrainRequest';
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
  ExportRequest,
  ExportSummary,
  InspectRequest,
  JudgeRequest,
  JudgeSummary,
  PretrainOutcome,
  PretrainRequest,
  PretrainStep,
  RunRequest,
  RunSummary,
  SessionApi,
  SessionEvent,
  TalkAnswer,
  TalkEvent,
  TalkRequest,
  TeachEvent,
  TeachRequest,
  TeachSummary,
} from './protocol';
import { executeRun } from './run';
import { Talker } from './talk';
import { readExperiment } from './taskItems';
import { teachForRequest } from './teach';
import { SessionShelves } from './shelves';
import { safely } from './workDesk';

type Listener = (event: SessionEvent) => unknown;

export class Session extends SessionShelves implements SessionApi {
  private readonly asker = new Asker(this.students);
  private readonly talker = new Talker(this.students);
  private readonly pace = new Pace();
  private readonly engine = new EngineWork({
    store: this.store,
    device: (tier) => this.place.device(tier),
    open: (root) => this.filesOf(root),
    cacheOf: (use, files) => this.caches.placeOf(use, files),
    exclusively: (what, work, control) => this.exclusively(what, work, control),
  });

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
  measureSpeed: SessionApi['measureSpeed'] = (request, onProgress) => this.engine.measureSpeed(request, onProgress);
  profileStep: SessionApi['profileStep'] = (request, onProgress) => this.engine.profileStep(request, onProgress);
  shaderFiles: SessionApi['shaderFiles'] = () => this.engine.shaderFiles();
  checkFamilies: SessionApi['checkFamilies'] = () => this.engine.checkFamilies();

  run(request: RunRequest, onEvent: Listener): Promise<RunSummary> {
    const control = new RunControl(this.pace);
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
          until: request.until,
          shared: request.shared === undefined ? undefined : openFileRoot(request.shared),
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

  async setPace({ restMs }: { restMs: number }): Promise<void> {
    this.pace.set(restMs);
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

  talk(request: TalkRequest, onEvent: (event: TalkEvent) => unknown): Promise<TalkAnswer> {
    const control = new RunControl();
    return this.exclusively(
      'talk',
      () => this.talker.talk(request, (tier) => this.place.device(tier), control.signal, safely(onEvent)),
      control,
    );
  }

  readonly pairTokens: SessionApi['pairTokens'] = (request, onEvent) => {
    const control = new RunControl();
    const { students, store } = this;
    const deviceOf: PairTokensPlaces['deviceOf'] = (tier) => this.place.device(tier);
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

  teach(request: TeachRequest, onEvent: (event: TeachEvent) => unknown, answer?: AnswerLocally): Promise<TeachSummary> {
    return this.asking('teach', onEvent, (options) =>
      teachForRequest(request, { ...this.teachPlaces(), ...options, answer }),
    );
  }

  judge(request: JudgeRequest, onEvent: (event: TeachEvent) => unknown): Promise<JudgeSummary> {
    return this.asking('judge', onEvent, (options) => judgeForRequest(request, options));
  }

  readonly judgeRuns: SessionApi['judgeRuns'] = (request, onEvent) =>
    this.asking('judge', onEvent, (options) => this.results.judge(request, options));

  /** Work with a model that answers elsewhere: it is held and stopped as a run is. */
  private asking<T>(
    what: string,
    onEvent: (event: TeachEvent) => unknown,
    work: (options: ApiWorkOptions) => Promise<T>,
  ): Promise<T> {
    const control = new RunControl();
    return this.exclusively(what, () => work({ answers: this.answers, control, onEvent: safely(onEvent) }), control);
  }
}
