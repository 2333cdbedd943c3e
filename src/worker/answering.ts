// answering.ts: an object whose methods answer with plain data instead of throwing: Comlink keeps only name, message and
// stack of an Error. It knows neither Comlink nor what a session does.
import { toAnswer, type Answer } from '../base/answer';

/** The same interface, but every method answers instead of throwing. */
export type Answering<Api> = {
  [Name in keyof Api]: Api[Name] extends (...args: infer Args) => Promise<infer Value>
    ? (...args: Args) => Promise<Answer<Value>>
    : never;
};

/** Names of SessionApi's methods: a worker exposes these and nothing else. */
export const SESSION_METHODS = [
  'open',
  'setHub',
  'doctor',
  'check',
  'run',
  'pause',
  'resume',
  'step',
  'stop',
  'setPace',
  'stopAtPhaseEnd',
  'runHistory',
  'inspect',
  'evaluate',
  'ask',
  'exampleQuestions',
  'talk',
  'talkStudent',
  'pairTokens',
  'previewDemonstrations',
  'previewTask',
  'planStudent',
  'scoreText',
  'keepFile',
  'keptFiles',
  'keptFile',
  'deleteKeptFile',
  'exportStudent',
  'pretrain',
  'estimateTeaching',
  'teach',
  'estimateJudging',
  'judge',
  'weightErrors',
  'adapterNorms',
  'profileStep',
  'measureSpeed',
  'shaderFiles',
  'checkFamilies',
  'paperResults',
  'comparePaired',
  'estimateJudgingRuns',
  'judgeRuns',
  'cachedStudents',
  'verifyCachedStudent',
  'deleteCachedStudent',
  'listRuns',
  'deleteRun',
  'listArtefacts',
  'artefact',
  'runOverviews',
  'runDetails',
  'renameRun',
  'deleteCheckpoints',
  'exportRun',
  'importRun',
] as const;

/** Names of TeacherModelApi's methods. */
export const TEACHER_METHODS = ['load', 'answer', 'interrupt', 'unload'] as const;

type AnyMethod = (...args: unknown[]) => Promise<unknown>;

/**
 * An object whose named methods answer. `make` is called on first use, so that an object that cannot be made (no WebGPU
 * here, say) answers with its error instead of failing to load.
 */
export function answering<Api extends object, Name extends keyof Api & string>(
  make: () => Api,
  names: readonly Name[],
): Answering<Pick<Api, Name>> {
  let api: Api | undefined;
  const entries = names.map((name) => [
    name,
    (...args: unknown[]) =>
      toAnswer(async () => {
        api ??= make();
        return await (api[name] as AnyMethod).apply(api, args);
      }),
  ]);
  return Object.fromEntries(entries) as Answering<Pick<Api, Name>>;
}
