// pairTokens.ts: the pairs of a stored run, token by token: log π under its refined student and log π_ref under the instructed
// one, by the kernels and the batches that scored them in the run. It trains nothing, and chooses no pairs.
import { PupilError } from '../base/errors';
import { throwIfCancelled, type Progress } from '../base/progress';
import type { Experiment, SelfRefineConfig } from '../config/experiment';
import type { SystemName } from '../config/systems';
import type { Gpu } from '../gpu/device';
import { packSequences } from '../model/batch';
import { Trainer } from '../model/trainer';
import { boundsOf, microBatches } from '../recipes/batches';
import { parsePairs, type InspectPair } from '../recipes/inspectInput';
import { pairUnit } from '../recipes/selfRefine';
import { dpoLoss, sequenceLogps } from '../reference/loss';
import type { RunStore } from '../storage/runStore';
import type { TextTokenizer } from '../text/tokenizer';
import { adapterFolder } from './artefacts';
import type { LoadedStudents } from './loadedStudents';
import type {
  PairTokensEvent,
  PairTokensRequest,
  PairTokensSummary,
  ScoredPair,
  ScoredSequence,
} from './pairTokensProtocol';
import { storedArtefact } from './stored';
import { readExperiment } from './taskItems';
import { tokenText } from './talkTokens';

const FILE = 'pairs.jsonl';
/** Tokens of a batch at most, whatever the run trained with: a person waits for the first pair, and may give up between two. */
const MOST_TOKENS = 2048;

export interface PairTokensPlaces {
  store: RunStore;
  students: LoadedStudents;
  deviceOf: (tier: Experiment['student']['tier']) => Promise<Gpu>;
  signal: AbortSignal;
}

/** @throws PupilError as PairTokensApi says. */
export async function pairTokens(
  request: PairTokensRequest,
  { store, students, deviceOf, signal }: PairTokensPlaces,
  onEvent: (event: PairTokensEvent) => void,
): Promise<PairTokensSummary> {
  const { runId } = request;
  const experiment = readExperiment(request.experiment);
  const settings = experiment.phases.selfRefine;
  if (settings === false) {
    throw new PupilError('usage', `pairTokens: expected an experiment with a self-refine phase, ${runId}'s has none`);
  }
  const lines = linesAt(await storedArtefact(store, runId, FILE), request.pairs);
  const opened = await students.open({ ...request, student: experiment.student });
  const pairs = parsePairs(lines, `${FILE} of run ${runId}`, opened.config);
  const units = pairs.map((pair) => pairUnit(asUnit(pair)));

  const gpu = await deviceOf(experiment.student.tier);
  const onProgress = (progress: Progress): void => onEvent({ type: 'progress', progress });
  const microBatchTokens = Math.min(settings.microBatchTokens, MOST_TOKENS);
  const limits = boundsOf(units, microBatchTokens, units.length);
  const trainers: Trainer[] = [];
  const scorerOf = async (system: SystemName | undefined): Promise<Trainer> => {
    const adapter = system === undefined ? {} : { adapter: { kind: 'run' as const, runId, system } };
    const wanted = { gpu, student: experiment.student, opened, onProgress, signal, ...adapter };
    const on = await students.adapted(wanted);
    const trainer = new Trainer(on.student, on.adapter, { limits, scoringOnly: true });
    trainers.push(trainer);
    await trainer.ready();
    return trainer;
  };
  try {
    // Without phase 1 the reference is the untouched student: its adapter's B is 0.
    const reference = await scorerOf(experiment.phases.instruct === false ? undefined : 'Instruction-tuned');
    const isRefined = await hasSystem(store, runId, 'Self-refined');
    const policy = isRefined ? await scorerOf('Self-refined') : undefined;
    let done = 0;
    onProgress({ task: 'pairs', done, total: pairs.length, unit: 'pairs' });
    for (const group of microBatches(units, microBatchTokens)) {
      throwIfCancelled(signal, 'pairTokens');
      const batch = packSequences(group.flat());
      const scored = {
        reference: await reference.tokenLogps(batch),
        policy: await policy?.tokenLogps(batch),
        starts: batch.targetStarts,
      };
      for (let g = 0; g < group.length; g++) {
        const sequences = [0, 1].map((side) =>
          sequenceOf(pairs[done]!, side, 2 * g + side, scored, opened.tokenizer.tokenizer),
        );
        const pair = { index: request.pairs[done]!, chosen: sequences[0]!, rejected: sequences[1]! };
        onEvent({ type: 'pair', pair: withOutcome(pair, settings) });
        done++;
      }
      onProgress({ task: 'pairs', done, total: pairs.length, unit: 'pairs' });
    }
    const { loss, beta, labelSmoothing } = settings;
    const over = loss === 'ipo' ? 'means' : 'sums';
    return { pairs: done, policy: isRefined, loss, beta, labelSmoothing, over, tier: gpu.tier };
  } finally {
    for (const trainer of trainers) trainer.destroy();
  }
}

/** The run's adapter of a system was written: its phase has ended. */
async function hasSystem(store: RunStore, runId: string, system: SystemName): Promise<boolean> {
  const folder = adapterFolder(system)!;
  return (await store.listArtefacts(runId)).some((path) => path.startsWith(`${folder}/`));
}

/** The ids of the given lines as `inspect dpo` reads pairs. The file is not parsed as a whole: it may be large. */
function linesAt(bytes: Uint8Array, wanted: readonly number[]): string {
  if (wanted.length === 0) throw new PupilError('usage', 'pairTokens: expected at least one pair, got none');
  const starts = [0];
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) starts.push(at + 1);
  const decoder = new TextDecoder();
  const rows = wanted.map((index) => {
    const start = starts[index];
    const text = start === undefined ? '' : decoder.decode(bytes.subarray(start, starts[index + 1] ?? bytes.length));
    try {
      const { prompt, chosen, rejected } = JSON.parse(text) as Record<string, { ids: number[] } | undefined>;
      return { prompt: prompt?.ids, chosen: chosen?.ids, rejected: rejected?.ids };
    } catch (cause) {
      throw new PupilError(
        'data',
        `pairTokens: expected a pair at line ${index + 1} of ${FILE}, got ${text === '' ? 'nothing' : 'text that is not JSON'}`,
        'The run may have gone on since its pairs were listed: list them again.',
        { cause },
      );
    }
  });
  return JSON.stringify(rows);
}

const asUnit = ({ prompt, chosen, rejected }: InspectPair): Parameters<typeof pairUnit>[0] => ({
  prompt: { text: '', ids: prompt },
  chosen: { text: '', ids: chosen, from: 'student' },
  rejected: { text: '', ids: rejected, from: 'student' },
});

/** @param side 0 the chosen answer, 1 the rejected one. @param s its sequence in the batch that was scored. */
function sequenceOf(
  pair: InspectPair,
  side: number,
  s: number,
  scored: { reference: Float32Array; policy: Float32Array | undefined; starts: Uint32Array },
  tokenizer: TextTokenizer,
): ScoredSequence {
  const ids = side === 0 ? pair.chosen : pair.rejected;
  const { reference, policy, starts } = scored;
  const [from, to] = [starts[s]!, starts[s + 1]!];
  const sum = (logps: Float32Array): number => sequenceLogps(logps.subarray(from, to), [0, to - from]).sums[0]!;
  return {
    tokens: ids.map((id, t) => ({
      id,
      text: tokenText(tokenizer, id, ids[t - 1] ?? pair.prompt.at(-1)),
      ...(policy === undefined ? {} : { policy: policy[from + t]! }),
      reference: reference[from + t]!,
    })),
    ...(policy === undefined ? {} : { policy: sum(policy) }),
    reference: sum(reference),
  };
}

function withOutcome(pair: ScoredPair, { loss, beta, labelSmoothing }: SelfRefineConfig): ScoredPair {
  const { chosen, rejected } = pair;
  if (chosen.policy === undefined || rejected.policy === undefined) return pair;
  const score = (sum: number, { tokens }: ScoredSequence): number => (loss === 'ipo' ? sum / tokens.length : sum);
  const { losses, rewardsChosen, rewardsRejected } = dpoLoss(
    [score(chosen.policy, chosen), score(rejected.policy, rejected)],
    [score(chosen.reference, chosen), score(rejected.reference, rejected)],
    [beta, labelSmoothing, 1],
    loss,
  );
  const [rewardChosen, rewardRejected] = [rewardsChosen[0]!, rewardsRejected[0]!];
  const outcome = { rewardChosen, rewardRejected, margin: rewardChosen - rewardRejected, loss: losses[0]! };
  return { ...pair, outcome };
}
