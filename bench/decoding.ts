// decoding.ts: tokens per second of batched decoding with a key-value cache and sampling on the GPU, dense weights and
// LoRA on NF4. The peer has no such decoder, so there is nothing beside it.
import type { Checkpoint } from '../src/formats/checkpointIndex';
import type { Gpu } from '../src/gpu/device';
import { Adapter } from '../src/model/adapter';
import { Generator } from '../src/model/generator';
import { LINEAR_NAMES } from '../src/base/linearNames';
import { Student } from '../src/model/student';
import { inTurns, type Contender } from './measure';
import { meterDevice } from './meter';
import type { DecodeResult } from './results';
import { randomSequences } from './training';

export interface DecodingOptions {
  checkpoint: Checkpoint;
  batches: readonly number[];
  promptTokens: number;
  newTokens: number;
  rounds: number;
  acquire: () => Promise<Gpu>;
  log: (line: string) => void;
}

export async function benchDecoding(options: DecodingOptions): Promise<DecodeResult[]> {
  const { checkpoint, promptTokens, newTokens } = options;
  const contenders: (Contender & Omit<DecodeResult, 'ms' | 'tokensPerSecond'>)[] = [];
  const devices: Gpu[] = [];
  try {
    for (const kind of ['dense f32', 'LoRA r=8 on NF4'] as const) {
      for (const batch of options.batches) {
        options.log(`decoding: setting up ${kind}, batch ${batch}`);
        const gpu = await options.acquire();
        devices.push(gpu);
        const meter = meterDevice(gpu.device);
        const dense = kind === 'dense f32';
        const student = await Student.load(gpu, checkpoint, { quantize: dense ? 'none' : 'nf4' });
        const settings = { rank: 8, alpha: 16, dropout: 0, rsLora: false, targets: LINEAR_NAMES };
        const adapter = dense ? undefined : Adapter.create(student, settings, 1);
        const generator = new Generator(student, adapter, {
          batchSize: batch,
          maxPromptTokens: promptTokens,
          maxNewTokens: newTokens,
          temperature: 1,
          eosIds: [], // every answer has its full length: each round is the same work
        });
        await generator.ready();
        const prompts = randomSequences(batch, promptTokens, student.config.vocabSize);
        const contender = {
          name: `${kind}, batch ${batch}`,
          student: kind,
          batch,
          promptTokens,
          newTokens,
          dispatches: 0,
          peakBytes: 0,
          run: async () => {
            const before = meter.dispatches;
            const answers = await generator.generate(prompts, { seed: 1, stream: 'bench' });
            const short = answers.find(({ ids }) => ids.length !== newTokens);
            if (short !== undefined) throw new Error(`decoding: expected ${newTokens} tokens, got ${short.ids.length}`);
            contender.dispatches = meter.dispatches - before;
            contender.peakBytes = meter.peakBytes;
          },
        };
        contenders.push(contender);
      }
    }
    options.log('decoding: timing');
    const timings = await inTurns(contenders, { repeats: options.rounds, warmups: 1 });
    return contenders.map(({ student, batch, dispatches, peakBytes }, i) => ({
      student,
      batch,
      promptTokens,
      newTokens,
      ms: timings[i]!.medianMs,
      tokensPerSecond: (batch * newTokens * 1000) / timings[i]!.medianMs,
      dispatches,
      peakBytes,
    }));
  } finally {
    for (const gpu of devices) gpu.destroy();
  }
}
