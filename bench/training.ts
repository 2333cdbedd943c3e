// training.ts: one optimiser step (forward, loss, backward, AdamW) of the same student on the same batch: Pupil with all
// weights trainable, the peer with all weights (the same mathematics: their losses must agree), and Pupil with LoRA on NF4.
import type { Checkpoint } from '../src/formats/checkpointIndex';
import { parseModelConfig } from '../src/formats/modelConfig';
import { RandomStream } from '../src/base/random';
import type { Gpu } from '../src/gpu/device';
import { Adapter } from '../src/model/adapter';
import { packSequences, targetsIn, type PackedBatch } from '../src/model/batch';
import { LINEAR_NAMES } from '../src/base/linearNames';
import { Student } from '../src/model/student';
import { parameterCount } from '../src/model/parameterShapes';
import { Trainer } from '../src/model/trainer';
import { optimizer } from '../src/optim/optimizer';
import { inTurns, ratioOf, type Contender } from './measure';
import { meterDevice, type Meter } from './meter';
import { peerArray, startPeer } from './peer';
import { PEER_ADAMW, peerBatch, peerTrainingStep, peerWeightNames, type PeerState } from './peerDecoder';
import { sumKernels, type KernelShare, type StepResult, type TrainingResult } from './results';

const HYPER = { learningRate: 1e-3, weightDecay: 0.01 };
/** Steps before timing, whose losses are compared. */
const FIRST_STEPS = 4;

/** A contender that trains, and what is known of it. */
interface Trainee extends Contender {
  meter: Meter;
  losses: number[];
  firstStepMs: number;
  /** Of the last step. */
  dispatches: number;
  profile?: () => Promise<KernelShare[]>;
  close(): void;
}

export interface TrainingOptions {
  checkpoint: Checkpoint;
  sequences: number;
  tokensPerSequence: number;
  rounds: number;
  profile: boolean;
  /** A fresh device, so that each trainee's bytes are counted alone. */
  acquire: () => Promise<Gpu>;
  log: (line: string) => void;
}

/** Sequences of seeded random ids. */
export function randomSequences(count: number, length: number, vocabulary: number): number[][] {
  const random = new RandomStream(1, 'bench ids');
  return Array.from({ length: count }, () => Array.from({ length }, () => random.nextBelow(vocabulary)));
}

export async function benchTraining(options: TrainingOptions): Promise<TrainingResult> {
  const { checkpoint, tokensPerSequence: T } = options;
  const config = parseModelConfig(checkpoint.config);
  const sequences = randomSequences(options.sequences, T, config.vocabSize);
  const batch = packSequences(sequences.map((ids) => ({ ids, labels: ids })));

  const trainees: Trainee[] = [];
  try {
    for (const [name, set] of Object.entries({ pupilFull, peerFull, pupilLora })) {
      options.log(`training: setting up (${name})`);
      trainees.push(await set(options, batch, sequences));
    }
    for (const trainee of trainees) {
      options.log(`training: first steps of ${trainee.name}`);
      const startedAt = performance.now();
      await trainee.run();
      trainee.firstStepMs = performance.now() - startedAt;
      for (let step = 1; step < FIRST_STEPS; step++) await trainee.run();
    }
    const firstLosses = trainees.map(({ losses }) => losses.slice(0, FIRST_STEPS));
    options.log('training: timing');
    const timings = await inTurns(trainees, { repeats: options.rounds, warmups: 0 });
    const [full, peer, lora] = timings;
    const steps: StepResult[] = [];
    for (const [i, trainee] of trainees.entries()) {
      const { medianMs } = timings[i]!;
      const kernels = options.profile ? await trainee.profile?.() : undefined;
      steps.push({
        name: trainee.name,
        stepMs: medianMs,
        stepsPerSecond: 1000 / medianMs,
        tokensPerSecond: (1000 / medianMs) * options.sequences * T,
        dispatches: trainee.dispatches,
        peakBytes: trainee.meter.peakBytes,
        firstStepMs: trainee.firstStepMs,
        losses: firstLosses[i]!,
        ...(kernels === undefined ? {} : { kernels }),
      });
    }
    const differences = firstLosses[0]!.map((loss, step) => Math.abs(loss - firstLosses[1]![step]!));
    return {
      sequences: options.sequences,
      tokensPerSequence: T,
      targets: targetsIn(batch),
      parameters: parameterCount(config),
      steps,
      ratioFull: ratioOf(peer!, full!),
      ratioLora: ratioOf(peer!, lora!),
      lossDifference: differences[0]!,
      lossDifferenceLater: Math.max(...differences),
    };
  } finally {
    for (const trainee of trainees) trainee.close();
  }
}

/** Pupil's step with a given trainer, metrics read back each time. */
function pupilTrainee(name: string, gpu: Gpu, meter: Meter, trainer: Trainer, batch: PackedBatch): Trainee {
  const totalTargets = targetsIn(batch);
  let step = 0;
  const trainee: Trainee = {
    name,
    meter,
    losses: [],
    firstStepMs: 0,
    dispatches: 0,
    run: async () => {
      const before = meter.dispatches;
      trainer.beginStep(step);
      await trainer.accumulateSupervised(batch, totalTargets);
      await trainer.update({ ...HYPER, maxNorm: 0, step: step + 1 });
      const { loss } = await trainer.metrics();
      trainee.losses.push(loss);
      trainee.dispatches = meter.dispatches - before;
      step++;
    },
    profile: async () => {
      trainer.beginStep(step);
      await trainer.profileSupervised(batch); // the first pass between timestamps pays for the change
      return sumKernels(await trainer.profileSupervised(batch));
    },
    close: () => gpu.destroy(),
  };
  return trainee;
}

const limitsOf = (options: TrainingOptions, batch: PackedBatch) => ({
  tokens: options.sequences * options.tokensPerSequence,
  targets: targetsIn(batch),
  sequences: options.sequences,
});

async function pupilFull(options: TrainingOptions, batch: PackedBatch): Promise<Trainee> {
  const gpu = await options.acquire();
  const meter = meterDevice(gpu.device);
  const student = await Student.load(gpu, options.checkpoint, { quantize: 'none', trainable: true });
  const limits = limitsOf(options, batch);
  const trainer = new Trainer(student, undefined, { limits, optimizer: optimizer('adamw') });
  await trainer.ready();
  return pupilTrainee('Pupil, all weights', gpu, meter, trainer, batch);
}

async function pupilLora(options: TrainingOptions, batch: PackedBatch): Promise<Trainee> {
  const gpu = await options.acquire();
  const meter = meterDevice(gpu.device);
  const student = await Student.load(gpu, options.checkpoint, { quantize: 'nf4' });
  const settings = { rank: 8, alpha: 16, dropout: 0.05, rsLora: false, targets: LINEAR_NAMES };
  const adapter = Adapter.create(student, settings, 1);
  const limits = limitsOf(options, batch);
  const trainer = new Trainer(student, adapter, { limits, optimizer: optimizer('adamw'), dropoutSeed: 1 });
  await trainer.ready();
  return pupilTrainee('Pupil, LoRA r=8 on NF4', gpu, meter, trainer, batch);
}

async function peerFull(options: TrainingOptions, _batch: PackedBatch, sequences: number[][]): Promise<Trainee> {
  const { checkpoint } = options;
  const config = parseModelConfig(checkpoint.config);
  const meter = await startPeer();
  meter.peakBytes = meter.bytes; // what an earlier section took is not this one's
  const state: PeerState = { weights: {}, m: {}, v: {} };
  for (const name of peerWeightNames(config)) {
    const { shape } = checkpoint.info(name);
    const values = await checkpoint.readF32(name);
    state.weights[name] = peerArray(values, shape);
    state.m[name] = peerArray(new Float32Array(values.length), shape);
    state.v[name] = peerArray(new Float32Array(values.length), shape);
  }
  const batch = peerBatch(sequences);
  const stepFunction = peerTrainingStep(config, options.tokensPerSequence);
  let current = state;
  let step = 0;
  const trainee: Trainee = {
    name: 'jax-js, all weights',
    meter,
    losses: [],
    firstStepMs: 0,
    dispatches: 0,
    run: async () => {
      const before = meter.dispatches;
      const hyper = Float32Array.of(
        HYPER.learningRate,
        1 - PEER_ADAMW.beta1 ** (step + 1),
        1 - PEER_ADAMW.beta2 ** (step + 1),
        HYPER.weightDecay,
      );
      const held = { ids: batch.ids.ref, targets: batch.targets.ref, weights: batch.weights.ref };
      const result = stepFunction(current, held, peerArray(hyper, [4]));
      current = result.state;
      // The loss is the step's first result: waiting for one updated weight too means that the update is done as well.
      await current.weights['model.norm.weight']!.blockUntilReady();
      trainee.losses.push((await result.loss.data())[0]!);
      trainee.dispatches = meter.dispatches - before;
      step++;
    },
    close: () => {
      for (const part of Object.values(current)) for (const array of Object.values(part)) array.dispose();
      for (const array of Object.values(batch)) array.dispose();
      stepFunction.dispose();
    },
  };
  return trainee;
}
