// trainerGraph.ts: what a trainer prepares once: the tensors between its parts, and the commands of the forward, the head
// and, in mirror order, the backward, for the largest batch. A step replays them (trainer.ts); what happens inside a block
// is decoder.ts, what a preference loss puts between head and backward is preferenceLoss.ts.
import { ClearCommand, inStage, type Command } from '../gpu/commands';
import type { Arena, Tensor } from '../gpu/tensor';
import { gatherRows, scatterRows } from '../kernels/elementwise';
import { embeddingBackward, embeddingForward } from '../kernels/embedding';
import { headBackward, headForward, headScratchRows } from '../kernels/head';
import { lossSum, sequenceLogps } from '../kernels/loss';
import { rmsnormBackwardInput, rmsnormBackwardWeight, rmsnormForward } from '../kernels/rmsnorm';
import type { BlockContext } from './adaptedLinear';
import type { Adapter } from './adapter';
import type { BatchTensors } from './batchTensors';
import { makeActivations, makeBackwardScratch, type Activations, type Scratch } from './blockTensors';
import { blockBackward, blockForward } from './decoder';
import { DropoutCounters, type DropoutState } from './dropout';
import type { FlatParameters } from './flatParameters';
import { activationPolicy } from './memory';
import type { Student } from './student';

/** The same commands without dropout and with it; one list twice where there is none. */
export interface Passes {
  readonly plain: Command[];
  readonly dropped: Command[];
}

export interface TrainerGraph {
  /** Whether blocks keep their activations for the backward, run their forward again in it, or have no backward. */
  readonly activations: 'keep' | 'recompute' | 'none';
  /** Set where steps have dropout. */
  readonly dropout: DropoutCounters | undefined;
  /** From the ids to the final norm. */
  readonly forward: Passes;
  /** From there to the log-probability of every target. */
  readonly head: Command[];
  /** From these to `sums` and `means`. */
  readonly sequences: Command[];
  /** ADDS −Σ rowWeights · tokenLogps to `lossTotal`. */
  readonly loss: Command[];
  /** ADDS that sum's gradient; empty where nothing trains. */
  readonly backward: Passes;
  readonly finalNormed: Tensor; // (N, C)
  /** Weight of each target row in the loss. */
  readonly rowWeights: Tensor; // (M)
  readonly tokenLogps: Tensor; // (M)
  readonly sums: Tensor; // (S)
  readonly means: Tensor; // (S)
  readonly lossTotal: Tensor; // (1)
}

export interface GraphRequest {
  student: Student;
  adapter: Adapter | undefined;
  /** What trains; undefined: no backward is prepared. */
  trained: FlatParameters | undefined;
  /** Absent: kept where they are small. */
  activations?: 'keep' | 'recompute' | undefined;
  /** With the adapter's dropout. */
  dropout: boolean;
}

/** What forward, head and backward hand to each other. */
interface Flow extends GraphRequest {
  readonly batch: BatchTensors;
  readonly keep: boolean;
  /** (N, C)  Input of block l; that of the block after the last is the last one's output. */
  x(l: number): Tensor;
  act(l: number): Activations;
  readonly scratch: Scratch;
  readonly finalNormed: Tensor; // (N, C)
  readonly finalInverseRms: Tensor; // (N)
  readonly headInput: Tensor; // (M, C)
  readonly logits: Tensor; // (M, Vc)
  readonly logsumexp: Tensor; // (M)
  readonly targetLogit: Tensor; // (M)
  readonly tokenLogps: Tensor; // (M)
  readonly rowWeights: Tensor; // (M)
}

/** Allocates in the arena; the caller destroys it where this throws. */
export function prepareGraph(arena: Arena, batch: BatchTensors, request: GraphRequest): TrainerGraph {
  const { student, adapter, trained } = request;
  const { gpu, config } = student;
  const { tokens: N, targets: M } = batch.limits;
  const S = batch.lengths.shape[0]!;
  const { hiddenSize: C, layers: L } = config;
  const f32 = (label: string, ...shape: number[]): Tensor => arena.tensor(label, shape);

  const trains = trained !== undefined;
  const rank = adapter?.settings.rank ?? 0;
  const activations = !trains ? 'none' : (request.activations ?? activationPolicy(config, rank, N));
  const keep = activations === 'keep';
  // Every block's input is needed again in the backward; without one, two take turns.
  const residual = Array.from({ length: trains ? L + 1 : Math.min(2, L + 1) }, (_, l) => f32(`residual ${l}`, N, C));
  const kept = Array.from({ length: keep ? Math.max(1, L) : 1 }, (_, l) =>
    makeActivations(arena, student, adapter, N, `block ${l}`),
  );
  const flow: Flow = {
    ...request,
    batch,
    keep,
    x: (l) => residual[l % residual.length]!,
    act: (l) => kept[l % kept.length]!,
    scratch: { branch: f32('branch', N, C) },
    finalNormed: f32('final normed', N, C),
    finalInverseRms: f32('final inverse rms', N),
    headInput: f32('head input', M, C),
    logits: f32('logits', M, headScratchRows(gpu, student.head, M)),
    logsumexp: f32('head logsumexp', M),
    targetLogit: f32('target logit', M),
    tokenLogps: f32('token logps', M),
    rowWeights: f32('row weights', M),
  };
  const [sums, means, lossTotal] = [f32('sequence sums', S), f32('sequence means', S), f32('loss', 1)];
  const dropout =
    request.dropout && trains && adapter !== undefined && adapter.settings.dropout > 0
      ? new DropoutCounters(gpu, arena, adapter, N)
      : undefined;
  const both = (commands: (dropout: DropoutState | undefined) => Command[]): Passes => {
    const plain = commands(undefined);
    return { plain, dropped: dropout === undefined ? plain : commands(dropout) };
  };
  const { tokenLogps, rowWeights, finalNormed } = flow;
  return {
    activations,
    dropout,
    forward: both((dropout) => forwardCommands(flow, dropout)),
    head: headCommands(flow),
    sequences: ofLoss(
      sequenceLogps(gpu, { tokenLogps, starts: batch.targetStarts, sums, means }, { sequences: batch.rows.sequences }),
    ),
    loss: ofLoss(lossSum(gpu, { tokenLogps, rowWeights, out: lossTotal }, { rows: batch.rows.targets })),
    backward: trained === undefined ? { plain: [], dropped: [] } : prepareBackward(arena, flow, trained, both),
    finalNormed,
    rowWeights,
    tokenLogps,
    sums,
    means,
    lossTotal,
  };
}

/** What lies between the head's forward and its backward. */
export const ofLoss = (commands: Command[]): Command[] => inStage('forward', inStage('loss', commands));

const layerStage = (layer: number): string => `layer ${layer}`;

function blockContext({ student, adapter, batch }: Flow, dropout: DropoutState | undefined): BlockContext {
  return { gpu: student.gpu, student, adapter, rows: batch.rows.tokens, dropout };
}

/** Embedding, all blocks, final norm. */
function forwardCommands(flow: Flow, dropout: DropoutState | undefined): Command[] {
  const { student, batch, x, act, scratch, finalNormed, finalInverseRms } = flow;
  const { gpu, config } = student;
  const rows = batch.rows.tokens;
  const ctx = blockContext(flow, dropout);
  return inStage('forward', [
    ...inStage(
      'embedding',
      embeddingForward(
        gpu,
        { ids: batch.ids, table: student.embedding.data, y: x(0) },
        { rows, scale: config.embeddingScale },
      ),
    ),
    ...student.layers.flatMap((_, l) =>
      inStage(layerStage(l), blockForward(ctx, l, x(l), x(l + 1), batch.structure, act(l), scratch)),
    ),
    ...inStage(
      'final norm',
      rmsnormForward(
        gpu,
        { x: x(config.layers), weight: student.finalNorm, y: finalNormed, inverseRms: finalInverseRms },
        { rows, epsilon: config.rmsNormEps },
      ),
    ),
  ]);
}

/** The target rows alone go through the head. */
function headCommands(flow: Flow): Command[] {
  const { student, batch, finalNormed, headInput, logits, logsumexp, targetLogit, tokenLogps } = flow;
  const { gpu, config } = student;
  const rows = batch.rows.targets;
  const commands = [
    ...gatherRows(gpu, { x: finalNormed, index: batch.targetIndex, y: headInput }, { rows, width: config.hiddenSize }),
    ...headForward(
      gpu,
      { x: headInput, targets: batch.targets, logits, logsumexp, targetLogit, tokenLogps },
      { rows, weight: student.head, cap: config.finalSoftcap },
    ),
  ];
  return inStage('forward', inStage('head', commands));
}

/** Mirror of head, final norm, blocks and embedding. */
function prepareBackward(
  arena: Arena,
  flow: Flow,
  trained: FlatParameters,
  both: (commands: (dropout: DropoutState | undefined) => Command[]) => Passes,
): Passes {
  const { student, adapter, batch, keep, x, act, scratch } = flow;
  const { gpu, config } = student;
  const { tokens: N, targets: M } = batch.limits;
  const { hiddenSize: C, layers: L } = config;
  const full = adapter === undefined ? trained : undefined;
  const back = makeBackwardScratch(arena, student, adapter, N);
  const dHeadInput = arena.tensor('d head input', [M, C]);
  const dX = arena.tensor('d residual', [N, C]);
  const dFinal = back.dNormed; // free until the blocks run
  const rows = batch.rows.tokens;
  const targetRows = batch.rows.targets;

  return both((dropout) => {
    const ctx = blockContext(flow, dropout);
    const head: Command[] = [
      ...headBackward(
        gpu,
        {
          x: flow.headInput,
          targets: batch.targets,
          logits: flow.logits,
          logsumexp: flow.logsumexp,
          rowWeights: flow.rowWeights,
          dX: dHeadInput,
          // Tied, the head's gradient and the embedding's add up in one matrix.
          dWeight: full?.gradientOf(config.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight'),
        },
        { rows: targetRows, weight: student.head, reuseLogits: true, cap: config.finalSoftcap },
      ),
      new ClearCommand(dFinal),
      new ClearCommand(dX),
      ...scatterRows(gpu, { x: dHeadInput, index: batch.targetIndex, y: dFinal }, { rows: targetRows, width: C }),
    ];
    const norm: Command[] = [];
    const finalNorm = { x: x(L), inverseRms: flow.finalInverseRms, dY: dFinal };
    if (full !== undefined) {
      const dWeight = full.gradientOf('model.norm.weight');
      norm.push(...rmsnormBackwardWeight(gpu, { ...finalNorm, dWeight }, { rows }));
    }
    norm.push(...rmsnormBackwardInput(gpu, { ...finalNorm, weight: student.finalNorm, dX }, { rows }));
    const commands = [...inStage('head', head), ...inStage('final norm', norm)];
    for (let l = L - 1; l >= 0; l--) {
      // The last block's activations are still those of the forward.
      if (!keep && l < L - 1) {
        const again = blockForward(ctx, l, x(l), undefined, batch.structure, act(l), scratch);
        commands.push(...inStage(layerStage(l), inStage('recompute', again)));
      }
      const mirror = blockBackward(ctx, l, x(l), dX, batch.structure, act(l), back, full !== undefined || l > 0);
      commands.push(...inStage(layerStage(l), mirror));
    }
    if (full !== undefined) {
      const dTable = full.gradientOf('model.embed_tokens.weight');
      commands.push(...inStage('embedding', embeddingBackward(gpu, { ids: batch.ids, dY: dX, dTable }, { rows })));
    }
    return inStage('backward', commands);
  });
}
