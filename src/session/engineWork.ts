// engineWork.ts: the part of a session that looks into the engine: weights through NF4, adapters' updates, one step's kernels,
// the shaders, the self-check's cases. It joins requests to what computes them (weightErrors.ts, adapterNorms.ts,
// profileStep.ts, check.ts); that there is one piece of work at a time is session.ts's business.
import type { Experiment } from '../config/experiment';
import type { Gpu } from '../gpu/device';
import { shaderFiles } from '../kernels/catalogue';
import type { OpenRoot } from '../sources/openRoot';
import type { FileRoot } from '../sources/fileRoot';
import { expectRunId, type RunStore } from '../storage/runStore';
import { measureAdapters } from './adapterNorms';
import { checkFamilies } from './check';
import { RunControl } from './control';
import type { EngineApi } from './engineProtocol';
import { measureSpeed } from './measureSpeed';
import { profileStep } from './profileStep';
import type { StudentPlace } from './studentCaching';
import type { CacheUse } from './studentProtocol';
import { readExperiment } from './taskItems';
import { measureWeights } from './weightErrors';
import { safely } from './workDesk';

/** What this part needs of its session. */
export interface EnginePlace {
  store: RunStore;
  device: (tier: Experiment['student']['tier']) => Promise<Gpu>;
  open: (root: FileRoot) => OpenRoot;
  cacheOf: (use: CacheUse | undefined, files: FileRoot) => StudentPlace | undefined;
  exclusively: <T>(what: string, work: () => Promise<T>, control: RunControl) => Promise<T>;
}

export class EngineWork implements EngineApi {
  constructor(private readonly place: EnginePlace) {}

  weightErrors: EngineApi['weightErrors'] = (request, onWeight) => {
    const control = new RunControl();
    const listener = safely(([weight, progress]: Parameters<typeof onWeight>) => onWeight(weight, progress));
    return this.place.exclusively(
      'weightErrors',
      async () => {
        const experiment = readExperiment(request.experiment);
        return measureWeights({
          gpu: await this.place.device(experiment.student.tier),
          experiment,
          quantize: request.quantize,
          files: this.place.open(request.files),
          students: this.place.cacheOf(request.cache, request.files),
          signal: control.signal,
          onWeight: (weight, progress) => listener([weight, progress]),
        });
      },
      control,
    );
  };

  // A bad name is a rejection, as of every other call.
  adapterNorms: EngineApi['adapterNorms'] = async (runId, onProgress) =>
    measureAdapters(this.place.store, expectRunId(runId), safely(onProgress));

  profileStep: EngineApi['profileStep'] = (request, onProgress) => {
    const control = new RunControl();
    return this.place.exclusively(
      'profileStep',
      async () => {
        const experiment = readExperiment(request.experiment);
        const { phase, runId, method } = request;
        return profileStep({
          gpu: await this.place.device(experiment.student.tier),
          experiment,
          phase,
          runId: runId === undefined ? undefined : expectRunId(runId),
          method,
          files: this.place.open(request.files),
          students: this.place.cacheOf(request.cache, request.files),
          store: this.place.store,
          signal: control.signal,
          onProgress: safely(onProgress),
        });
      },
      control,
    );
  };

  measureSpeed: EngineApi['measureSpeed'] = (request, onProgress) => {
    const control = new RunControl();
    return this.place.exclusively(
      'measureSpeed',
      async () =>
        measureSpeed(await this.place.device(request.tier), request, {
          onProgress: safely(onProgress),
          signal: control.signal,
        }),
      control,
    );
  };

  shaderFiles: EngineApi['shaderFiles'] = () => Promise.resolve(shaderFiles());

  checkFamilies: EngineApi['checkFamilies'] = () => Promise.resolve(checkFamilies());
}
