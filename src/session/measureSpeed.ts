// measureSpeed.ts: how fast a student of some shape trains and answers on this device, before it is there: a few real steps of the
// real trainer and generator, at the experiment's batches and the student's full width, with made-up weights and only as many
// layers as are quick to load. From the layers measured to all of them it goes by arithmetic (parameters that multiply; the
// input embedding only looks up). Numbers for plans; nothing is learnt, nothing kept.
import { throwIfCancelled, type ProgressListener } from '../base/progress';
import { RandomStream } from '../base/random';
import { median } from '../base/statistics';
import { openCheckpoint } from '../formats/checkpointIndex';
import type { JsonObject } from '../formats/jsonText';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import type { Gpu } from '../gpu/device';
import { Adapter } from '../model/adapter';
import { packSequences, targetsIn, tokensIn } from '../model/batch';
import { Generator } from '../model/generator';
import { parameterCount } from '../model/parameterShapes';
import { Student } from '../model/student';
import { Trainer } from '../model/trainer';
import { optimizer } from '../optim/optimizer';
import type { MeasuredSpeed, MeasureSpeedRequest } from './engineProtocol';
import { madeCheckpoint } from './madeCheckpoint';

/** Weights of so many parameters are made, quantised and loaded in some seconds. */
const LOADED_PARAMETERS = 1.2e9;
const WARM_UPS = 1;
const LEAST_REPEATS = 3;
const MOST_REPEATS = 9;
/** Of each measurement; a slow adapter makes the least repeats. */
const LONGEST_MS = 4000;
const HYPER = { learningRate: 1e-4, weightDecay: 0 };

/** What multiplies: all but the embedding, which is looked up, unless the head is the same weight. */
function multiplied(config: ModelConfig): number {
  const lookedUp = config.tiedEmbeddings ? 0 : config.vocabSize * config.hiddenSize;
  return parameterCount(config) - lookedUp;
}

/** As many layers as stay below {@link LOADED_PARAMETERS}, at least one. */
function shallow(json: JsonObject): { json: JsonObject; whole: ModelConfig; cut: ModelConfig } {
  const whole = parseModelConfig(json);
  const withLayers = (layers: number): JsonObject => ({
    ...json,
    num_hidden_layers: layers,
    ...(Array.isArray(json['layer_types']) ? { layer_types: json['layer_types'].slice(0, layers) } : {}),
  });
  let layers = whole.layers;
  while (layers > 1 && parameterCount(parseModelConfig(withLayers(layers))) > LOADED_PARAMETERS) layers--;
  const cut = withLayers(layers);
  return { json: cut, whole, cut: parseModelConfig(cut) };
}

interface Following {
  onProgress: ProgressListener;
  signal: AbortSignal;
}

/** Median milliseconds of one call; the first compiles and is not counted. */
async function timed(what: string, work: () => Promise<void>, { onProgress, signal }: Following): Promise<number> {
  const tell = (done: number): void =>
    onProgress({ task: `Measuring ${what}`, done, total: WARM_UPS + LEAST_REPEATS, unit: 'repeats' });
  tell(0);
  for (let i = 0; i < WARM_UPS; i++) await work();
  const times: number[] = [];
  const begin = performance.now();
  while (times.length < LEAST_REPEATS || (times.length < MOST_REPEATS && performance.now() - begin < LONGEST_MS)) {
    throwIfCancelled(signal, 'Measuring');
    tell(WARM_UPS + Math.min(times.length, LEAST_REPEATS));
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return median(times);
}

/** @throws PupilError `config` for a config that is not supported, `gpu-out-of-memory`, `cancelled` */
export async function measureSpeed(gpu: Gpu, request: MeasureSpeedRequest, options: Following): Promise<MeasuredSpeed> {
  const { adapter: lora, quantize, training, answering } = request;
  const { json, whole, cut } = shallow(request.config);
  const made = madeCheckpoint(json, 'f16');
  const checkpoint = await openCheckpoint(made.open, 'a made-up student');
  const student = await Student.load(gpu, checkpoint, { quantize, ...options });
  let adapter: Adapter | undefined;
  try {
    adapter = Adapter.create(student, lora, 1);
    const trainMs = await timeTraining(student, adapter, training, options);
    const answer = await timeAnswering(student, adapter, answering, options);
    const scale = multiplied(cut) / multiplied(whole);
    const { vendor, architecture, device, description, software } = gpu.adapter;
    return {
      device: [...new Set([vendor, architecture, device, description])].filter((word) => word !== '').join(' '),
      software,
      tier: gpu.tier,
      layers: { measured: cut.layers, whole: whole.layers },
      trainedPerSecond: (scale * training.sequences * training.tokens * 1000) / trainMs,
      readPerSecond: scale * answer.readPerSecond,
      generatedPerSecond: scale * answer.generatedPerSecond,
      stepMs: trainMs,
      answersMs: answer.ms,
    };
  } finally {
    adapter?.destroy();
    student.destroy();
  }
}

const idsOf = (count: number, length: number, vocabulary: number): number[][] => {
  const random = new RandomStream(1, 'measured ids');
  return Array.from({ length: count }, () => Array.from({ length }, () => random.nextBelow(vocabulary)));
};

/** One micro-batch forward and backward, and an update. */
async function timeTraining(
  student: Student,
  adapter: Adapter,
  { sequences, tokens }: MeasureSpeedRequest['training'],
  following: Following,
): Promise<number> {
  const batch = packSequences(idsOf(sequences, tokens, student.config.vocabSize).map((ids) => ({ ids, labels: ids })));
  const targets = targetsIn(batch);
  const limits = { tokens: tokensIn(batch), targets, sequences };
  const trainer = new Trainer(student, adapter, { limits, optimizer: optimizer('adamw'), dropoutSeed: 1 });
  try {
    await trainer.ready();
    let step = 0;
    const work = async (): Promise<void> => {
      trainer.beginStep(step);
      await trainer.accumulateSupervised(batch, targets);
      await trainer.update({ ...HYPER, maxNorm: 0, step: ++step });
      await trainer.metrics();
    };
    return await timed(`training (${sequences} × ${tokens} tokens)`, work, following);
  } finally {
    trainer.destroy();
  }
}

/** Prompts read, then tokens written; told apart by writing few and many. */
async function timeAnswering(
  student: Student,
  adapter: Adapter,
  { batchSize, promptTokens }: MeasureSpeedRequest['answering'],
  following: Following,
): Promise<{ readPerSecond: number; generatedPerSecond: number; ms: number }> {
  const prompts = idsOf(batchSize, promptTokens, student.config.vocabSize);
  const of = async (maxNewTokens: number): Promise<number> => {
    const generator = new Generator(student, adapter, {
      ...{ batchSize, maxPromptTokens: promptTokens, maxNewTokens, temperature: 1 },
      eosIds: [], // every answer has its full length
    });
    try {
      await generator.ready();
      const work = async (): Promise<void> => {
        await generator.generate(prompts, { seed: 1, stream: 'measuring' });
      };
      return await timed(`answers (${batchSize} of ${maxNewTokens} tokens)`, work, following);
    } finally {
      generator.destroy();
    }
  };
  const [few, many] = [2, 18];
  const fewMs = await of(few);
  const manyMs = await of(many);
  // On a clock that jumps the difference may vanish: then all of it is writing.
  const tokenMs = Math.max((manyMs - fewMs) / (many - few), manyMs / (many * 20));
  const readMs = Math.max(fewMs - few * tokenMs, fewMs / 20);
  return {
    readPerSecond: (batchSize * promptTokens * 1000) / readMs,
    generatedPerSecond: (batchSize * 1000) / tokenMs,
    ms: manyMs,
  };
}
