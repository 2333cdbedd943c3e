// `inspect` through the session against PyTorch, PEFT, TRL and bitsandbytes: files in, files out, as the command line
// drives it. Tolerances are those of the fixtures' README (f32 tier).
import { beforeAll, describe, expect, it } from 'vitest';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../../src/formats/safetensorsWrite';
import { nodeGpu } from '../../src/gpu/node';
import type { InspectKind } from '../../src/session/protocol';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import {
  dpoExpected,
  expectAdapter,
  expectDpo,
  expectDpoTraining,
  expectGreedy,
  expectLogits,
  expectLoraTraining,
  expectNf4,
  expectQloraTraining,
  expectTraining,
  nf4Input,
  pairsFile,
  promptsFile,
  tensorsOf,
} from './compare';
import { GOLDEN, jsonAt, tensorsAt } from './files';

type Options = Record<string, string | number | boolean>;

let session: Session;
beforeAll(async () => {
  session = new Session(await nodeGpu(), new MemoryRunStore());
  await session.open({ tier: 'f32' });
});

/** Runs one inspection on golden files (and extra ones given as `memory/…`), returns what it wrote. */
async function inspect(kind: InspectKind, options: Options, extra: Record<string, Uint8Array> = {}) {
  const files: Record<string, Uint8Array> = { ...extra };
  const out: Record<string, Uint8Array> = {};
  const { readFile, readdir } = await import('node:fs/promises');
  // Everything under one root, as the command line's file server has it.
  for (const folder of ['llama-tiny', 'lora-llama-tiny', 'qlora-llama-tiny-double', 'nf4', 'dpo']) {
    for (const entry of await readdir(`${GOLDEN}${folder}`, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = `${entry.parentPath ?? entry.path}/${entry.name}`;
      files[path.slice(GOLDEN.length)] = new Uint8Array(await readFile(path));
    }
  }
  await session.inspect({ kind, files: { kind: 'memory', files }, out: { kind: 'memory', files: out }, options });
  return out;
}

describe('inspect logits', () => {
  it('llama-tiny: logits of a padded batch within 1e-4 of transformers', async () => {
    const out = await inspect('logits', {
      student: 'llama-tiny',
      batch: 'llama-tiny/expected.safetensors',
      out: 'logits.safetensors',
    });
    const expected = await tensorsAt(`${GOLDEN}llama-tiny/expected.safetensors`);
    const mask = await expected.readNumbers('attention_mask');
    const actual = await tensorsOf(out['logits.safetensors']);
    expect(actual.info('logits').shape).toEqual(expected.info('logits').shape);
    await expectLogits(actual, expected, 'logits', mask);
  });

  it('lora-llama-tiny: logits with a PEFT adapter', async () => {
    const out = await inspect('logits', {
      student: 'llama-tiny',
      adapter: 'lora-llama-tiny/adapter_init',
      batch: 'lora-llama-tiny/expected.safetensors',
      out: 'logits.safetensors',
    });
    const expected = await tensorsAt(`${GOLDEN}lora-llama-tiny/expected.safetensors`);
    await expectLogits(
      await tensorsOf(out['logits.safetensors']),
      expected,
      'logits',
      await expected.readNumbers('attention_mask'),
    );
  });

  it('qlora: a bnb-4bit checkpoint as it is, and the dense one quantised here, give bitsandbytes’ logits', async () => {
    const batch = await tensorsAt(`${GOLDEN}llama-tiny/expected.safetensors`);
    const mask = await batch.readNumbers('attention_mask');
    const expected = await tensorsAt(`${GOLDEN}qlora-llama-tiny-double/expected.safetensors`);
    for (const options of [
      { student: 'qlora-llama-tiny-double/hf_bnb4bit' },
      { student: 'llama-tiny', quantize: 'nf4-double' },
      { student: 'qlora-llama-tiny-double/dequantized_f32' },
    ]) {
      const out = await inspect('logits', {
        ...options,
        batch: 'llama-tiny/expected.safetensors',
        out: 'logits.safetensors',
      });
      await expectLogits(await tensorsOf(out['logits.safetensors']), expected, 'base_logits', mask);
    }
  });
});

describe('inspect gradients', () => {
  const batch = 'lora-llama-tiny/expected.safetensors';

  it('loss, token log-probabilities and all 28 gradients; five AdamW steps and the adapter', async () => {
    const out = await inspect('gradients', {
      student: 'llama-tiny',
      adapter: 'lora-llama-tiny/adapter_init',
      batch,
      out: 'g.safetensors',
      steps: 5,
      lr: 1e-2,
      weightDecay: 1e-4,
      adapterOut: 'trained',
    });
    await expectLoraTraining(out['g.safetensors'], out['trained/adapter_model.safetensors']);
    expect(Object.keys(out).sort()).toEqual([
      'g.safetensors',
      'trained/adapter_config.json',
      'trained/adapter_model.safetensors',
    ]);
  });

  it('five steps with clipping at 0.3', async () => {
    const out = await inspect('gradients', {
      student: 'llama-tiny',
      adapter: 'lora-llama-tiny/adapter_init',
      batch,
      out: 'g.safetensors',
      steps: 5,
      lr: 1e-2,
      weightDecay: 1e-4,
      clip: 0.3,
      adapterOut: 'trained',
    });
    const json = await jsonAt<{
      ['train_clip0.3']: { loss_before_step_then_final: number[]; grad_norms_before_clip: number[] };
    }>(`${GOLDEN}lora-llama-tiny/expected.json`);
    const expected = json['train_clip0.3'];
    await expectTraining(await tensorsOf(out['g.safetensors']), {
      losses: expected.loss_before_step_then_final,
      norms: expected.grad_norms_before_clip,
    });
    await expectAdapter(
      out['trained/adapter_model.safetensors'],
      'lora-llama-tiny/adapter_final_clip0.3/adapter_model.safetensors',
    );
  });

  it('QLoRA over the double-quantised base: gradients and five steps', async () => {
    const out = await inspect('gradients', {
      student: 'qlora-llama-tiny-double/hf_bnb4bit',
      adapter: 'lora-llama-tiny/adapter_init',
      batch,
      out: 'g.safetensors',
      steps: 5,
      lr: 1e-2,
      weightDecay: 1e-4,
      adapterOut: 'trained',
    });
    await expectQloraTraining(out['g.safetensors'], out['trained/adapter_model.safetensors']);
  });

  it('a batch whose labels are all −100 is refused', async () => {
    const expected = await tensorsAt(`${GOLDEN}${batch}`);
    const copy = async (name: string): Promise<TensorData> => {
      const { dtype, shape } = expected.info(name);
      return { name, dtype, shape, data: await expected.readBytes(name) };
    };
    const labels = new BigInt64Array(60).fill(-100n);
    const masked = writeSafetensors(
      inLibraryOrder([
        await copy('input_ids'),
        await copy('attention_mask'),
        { name: 'labels', dtype: 'i64', shape: [3, 20], data: labels },
      ]),
    );
    const options = { student: 'llama-tiny', adapter: 'lora-llama-tiny/adapter_init', batch: 'masked', out: 'g' };
    await expect(inspect('gradients', options, { masked })).rejects.toMatchObject({ code: 'training' });
  });
});

describe('inspect dpo', () => {
  for (const variant of ['sigmoid', 'sigmoid_ls0.1', 'ipo', 'sigmoid_beta0.5']) {
    it(`${variant}: log-probabilities, losses, rewards and gradients of TRL`, async () => {
      const json = await dpoExpected();
      const { loss_type, beta, label_smoothing } = json.variants[variant]!;
      const out = await inspect(
        'dpo',
        {
          student: 'llama-tiny',
          adapter: 'lora-llama-tiny/adapter_final',
          referenceAdapter: 'lora-llama-tiny/adapter_init',
          pairs: 'pairs.json',
          loss: loss_type,
          beta,
          labelSmoothing: label_smoothing,
          out: 'd.safetensors',
        },
        { 'pairs.json': pairsFile(json) },
      );
      await expectDpo(out['d.safetensors'], variant);
    });
  }

  it('five steps from policy = reference: the first loss is ln 2, the adapter is TRL’s', async () => {
    const json = await dpoExpected();
    const out = await inspect(
      'dpo',
      {
        student: 'llama-tiny',
        adapter: 'lora-llama-tiny/adapter_init',
        referenceAdapter: 'lora-llama-tiny/adapter_init',
        pairs: 'pairs.json',
        loss: 'sigmoid',
        beta: 0.1,
        out: 'd.safetensors',
        steps: 5,
        lr: 1e-2,
        weightDecay: 1e-4,
        adapterOut: 'trained',
      },
      { 'pairs.json': pairsFile(json) },
    );
    await expectDpoTraining(out['d.safetensors'], out['trained/adapter_model.safetensors']);
  });
});

describe('inspect generate', () => {
  it('greedy continuations are exactly those of transformers, whatever is beside them in the batch', async () => {
    const out = await inspect(
      'generate',
      { student: 'llama-tiny', prompts: 'prompts.json', maxNewTokens: 16, temperature: 0, out: 'o.json' },
      { 'prompts.json': await promptsFile() },
    );
    await expectGreedy(out['o.json']);
  });
});

describe('inspect nf4', () => {
  for (const double of [false, true]) {
    it(`${double ? 'double' : 'single'} quantisation: bitsandbytes’ bytes outside the ambiguous elements`, async () => {
      const out = await inspect(
        'nf4',
        { input: 'in.safetensors', out: 'o.safetensors', double },
        { 'in.safetensors': await nf4Input() },
      );
      await expectNf4(out['o.safetensors'], double);
    });
  }
});
