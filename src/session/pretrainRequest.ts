// pretrainRequest.ts: `pupil pretrain`, as a session is asked for it: the recipe's defaults filled in, the outcome without its
// log. What a pretraining does is in pretrain.ts.
import type { Gpu } from '../gpu/device';
import { PRETRAIN_DEFAULTS } from '../recipes/pretrain';
import { openFileRoot } from '../sources/fileRoot';
import { pretrainStudent } from './pretrain';
import { openEarlier } from './pretrainStart';
import type { PretrainOutcome, PretrainRequest, PretrainStep } from './protocol';

/** Documents of the development loss, where nothing else is said: about 20,000 tokens. */
const DEVELOPMENT_DOCUMENTS = 400;
/** Steps whose mean is told as the final loss: one step's is noisy. */
const FINAL_STEPS = 20;

/** `pupil pretrain`, as a session is asked for it. */
export async function pretrainForRequest(
  gpu: Gpu,
  request: PretrainRequest,
  onStep: (step: PretrainStep) => void,
  signal: AbortSignal,
): Promise<PretrainOutcome> {
  const { out, name, seed, mix, steps, checkpointEverySteps, resume } = request;
  const earlier = request.from === undefined ? undefined : await openEarlier(openFileRoot(request.from));
  const defaults = PRETRAIN_DEFAULTS;
  const { parameters, tokens, seconds, sha256, rows } = await pretrainStudent({
    gpu,
    out: openFileRoot(out),
    name,
    seed,
    mix,
    shape: earlier?.shape ?? request.shape,
    earlier,
    settings: {
      ...defaults,
      steps,
      tokensPerStep: request.tokensPerStep ?? defaults.tokensPerStep,
      learningRate: request.learningRate ?? defaults.learningRate,
      warmupSteps: Math.min(defaults.warmupSteps, Math.floor(steps / 10)),
    },
    checkpointEverySteps,
    developmentDocuments: DEVELOPMENT_DOCUMENTS,
    resume,
    signal,
    onStep: ({ step, ...values }, cursor) =>
      onStep({ step, totalSteps: steps, tokens: cursor.tokens, values: values as Record<string, number> }),
  });
  const last = rows.slice(-FINAL_STEPS);
  const evalLoss = rows.at(-1)?.['eval_loss'];
  return {
    parameters,
    tokens,
    seconds,
    sha256,
    loss: last.reduce((sum, row) => sum + row['loss']!, 0) / last.length,
    ...(evalLoss === undefined ? {} : { evalLoss }),
  };
}
