// memory.test.ts (long): a thousand training steps over batches of changing size take no GPU buffer and no more memory.
import { expect, it } from 'vitest';
import { packSequences } from '../../src/model/batch';
import { Adapter } from '../../src/model/adapter';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { optimizer } from '../../src/optim/optimizer';
import { checkpointAt, GOLDEN } from '../golden/files';
import { testGpu } from '../kernels/device';

it('1,000 steps create no GPU buffer and keep the process within 48 MiB', async () => {
  const gpu = await testGpu();
  const student = await Student.load(gpu, await checkpointAt(`${GOLDEN}llama-tiny`), { quantize: 'nf4-double' });
  const targets = ['q_proj', 'v_proj', 'down_proj'];
  const adapter = Adapter.create(student, { rank: 4, alpha: 8, dropout: 0.1, rsLora: false, targets }, 1);
  const trainer = new Trainer(student, adapter, {
    limits: { tokens: 128, targets: 128, sequences: 8 },
    optimizer: optimizer('adamw'),
    dropoutSeed: 1,
  });
  await trainer.ready();
  const sequence = (length: number): { ids: number[]; labels: number[] } => {
    const ids = Array.from({ length }, (_, t) => (7 * t + length) % 256);
    return { ids, labels: ids.map((id, t) => (t < 2 ? -100 : id)) };
  };
  let buffers = 0;
  let bytes = 0;
  let resident = 0;
  for (let step = 0; step < 1000; step++) {
    const batch = packSequences([sequence(5 + (step % 20)), sequence(3 + (step % 11))]);
    trainer.beginStep(step);
    await trainer.accumulateSupervised(batch, batch.targets.length);
    await trainer.update({ learningRate: 1e-4, weightDecay: 0, maxNorm: 1, step: step + 1 });
    await trainer.metrics();
    if (step === 1) [buffers, bytes] = [gpu.account.buffersCreated, gpu.account.current];
    if (step === 300) resident = process.memoryUsage().rss;
  }
  expect(gpu.account.buffersCreated).toBe(buffers);
  expect(gpu.account.current).toBe(bytes);
  expect((process.memoryUsage().rss - resident) / 2 ** 20).toBeLessThan(48);
});
