// engineWork.test.ts: what a session says of the engine itself. Errors of NF4 are those of the float64 reference, updates those
// of formed products, and a step that is watched is the step that would have been taken anyway.
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { LINEAR_NAMES } from '../../../src/base/linearNames';
import { loraScale } from '../../../src/formats/peft';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import { Gpu } from '../../../src/gpu/device';
import { nodeGpu } from '../../../src/gpu/node';
import { watchCommands } from '../../../src/gpu/commands';
import { linearShape, modulePath } from '../../../src/model/linearNames';
import { Adapter } from '../../../src/model/adapter';
import { filesIn } from '../../../src/recipes/files';
import { instruct, planInstruct } from '../../../src/recipes/instruct';
import { nf4Dequantize, nf4DequantizeAbsmax, nf4Quantize, nf4QuantizeAbsmax } from '../../../src/reference/nf4';
import { storedAdapter } from '../../../src/session/adapterNorms';
import { loadStudentWeights, openStudent } from '../../../src/session/load';
import { instructTrainer } from '../../../src/session/phases';
import { prepare } from '../../../src/session/prepare';
import { profileStep, WARM_UP_STEPS, type ProfileJob } from '../../../src/session/profileStep';
import { Session } from '../../../src/session/session';
import { readExperiment } from '../../../src/session/taskItems';
import type { StepProfile, WeightMeasure } from '../../../src/session/protocol';
import { openMemoryRoot } from '../../../src/sources/memory';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const LESSON = fileURLToPath(new URL('../../../public/students/lesson/', import.meta.url));
const lessonFiles = (): Record<string, Uint8Array> =>
  Object.fromEntries(
    readdirSync(LESSON).map((name) => [`student/${name}`, new Uint8Array(readFileSync(`${LESSON}${name}`))]),
  );

/** The nested form contains the plain one, which is measured on its own where there is time. */
const FORMS: ('nf4' | 'nf4-double')[] =
  process.env['PUPIL_TEST_LONG'] === undefined ? ['nf4-double'] : ['nf4', 'nf4-double'];

/** Dropout 0.1 and two micro-batches a step: masks and accumulation are part of what must not change. */
const experiment = tinyExperiment({
  phases: {
    baseline: false,
    instruct: {
      epochs: 1,
      maxSteps: 2,
      batchSize: 4,
      microBatchTokens: 96,
      learningRate: 0.01,
      warmupRatio: 0.1,
      clip: 1,
    },
    control: { steps: 2 },
    selfRefine: {
      learningRate: 0.005,
      batchSize: 4,
      microBatchTokens: 512,
      maxSteps: 1,
      minValidationPairs: 2,
      sampling: { temperature: 0.7, maxNewTokens: 4, batchSize: 12 },
    },
  },
  evaluation: { prompts: ['cot'], maxNewTokens: 2, batchSize: 5, limit: 1 },
});
const files = { kind: 'memory' as const, files: tinyFiles() };
const store = new MemoryRunStore();
let session: Session;
let gpu: Gpu;

beforeAll(async () => {
  // The session's own device is what profileStep is given below: on another one, all kernels would be compiled again.
  const acquired = vi.spyOn(Gpu, 'acquire');
  session = new Session(nodeGpu, store);
  const summary = await session.run({ runId: 'tiny', experiment, files }, () => undefined);
  expect(summary.state).toBe('finished');
  expect(acquired).toHaveBeenCalledOnce();
  gpu = await (acquired.mock.results[0]!.value as Promise<Gpu>);
  acquired.mockRestore();
});

describe('weightErrors', () => {
  it.each(FORMS)('of the lesson’s student are those of the float64 reference: %s', async (quantize) => {
    const seen: WeightMeasure[] = [];
    const told: number[] = [];
    const student = { ...(experiment['student'] as object), tokenizer: undefined };
    const measured = await session.weightErrors(
      {
        experiment: { ...experiment, student },
        files: { kind: 'memory', files: { ...files.files, ...lessonFiles() } },
        quantize,
      },
      (weight, progress) => void (seen.push(weight), told.push(progress.done / progress.total!)),
    );
    expect(measured.originals).toBe('here');
    expect(seen).toEqual(measured.weights);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(1);
    const checkpoint = await openCheckpoint(filesIn(openMemoryRoot(lessonFiles()), 'student'), 'student');
    const config = parseModelConfig(checkpoint.config);
    expect(measured.weights).toHaveLength(config.layers * LINEAR_NAMES.length);
    // The reference takes its time: some of them.
    for (const { layer, module, shape, norm, error, bitsPerWeight, absmax } of measured.weights.filter(
      (_, i) => i % 13 === 0,
    )) {
      expect(shape).toEqual(linearShape(config, module));
      const values = await checkpoint.readF32(`${modulePath(layer, module)}.weight`);
      const { packed, absmax: single } = nf4Quantize(values);
      const nested = quantize === 'nf4' ? undefined : nf4QuantizeAbsmax(single);
      const scales = nested === undefined ? single : nf4DequantizeAbsmax(nested);
      const back = nf4Dequantize(packed, scales, values.length);
      let [square, errorSquare, sum, greatest] = [0, 0, 0, 0];
      values.forEach((value, i) => {
        const off = Math.abs(value - back[i]!);
        square += value ** 2;
        errorSquare += off ** 2;
        sum += off;
        greatest = Math.max(greatest, off);
      });
      const label = `layer ${layer} ${module}`;
      expect(norm, label).toBeCloseTo(Math.sqrt(square), 10);
      // A GPU may divide and multiply with one rounding more than the reference (the self-check's own tolerance).
      expect(Math.abs(error!.relative / Math.sqrt(errorSquare / square) - 1), label).toBeLessThan(1e-5);
      expect(Math.abs(error!.greatest / greatest - 1), label).toBeLessThan(1e-5);
      expect(Math.abs((error!.mean * values.length) / sum - 1), label).toBeLessThan(1e-5);
      const sorted = [...scales].sort((a, b) => a - b);
      expect(absmax[0], label).toBeCloseTo(sorted[0]!, 6);
      expect(absmax[4], label).toBeCloseTo(sorted.at(-1)!, 6);
      const blocks = values.length / 64;
      const bits = quantize === 'nf4' ? 4.5 : 4 + (8 * (blocks + 4 * Math.ceil(blocks / 256) + 4)) / values.length;
      expect(bitsPerWeight, label).toBeCloseTo(bits, 10);
    }
    const all = measured.weights.map(({ error }) => error!.relative);
    // bitsandbytes' own number for normal values is 0.2034 in the mean of |e|/|x|; of norms it is about 0.09.
    expect(Math.min(...all)).toBeGreaterThan(0.06);
    expect(Math.max(...all)).toBeLessThan(0.13);
  });

  it('stops between two weights', async () => {
    let count = 0;
    const work = session.weightErrors({ experiment, files }, () => {
      if (++count === 2) void session.stop();
    });
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
    expect(count).toBeLessThan(14);
  });
});

describe('adapterNorms', () => {
  it('are those of the products formed in float64, for every phase of a run', async () => {
    const { phases } = await session.adapterNorms('tiny', () => undefined);
    expect(phases.map(({ phase }) => phase)).toEqual(['instruct', 'control', 'self-refine']);
    const formed = new Map<string, Float64Array>();
    for (const { phase, updates, layers } of phases) {
      expect([layers, updates.length]).toEqual([2, 14]);
      const adapter = (await storedAdapter(store, 'tiny', phase))!;
      for (const { layer, module, norm, singularValues, effectiveRank, fromInstruct, rank, shape } of updates) {
        const path = modulePath(layer, module);
        const factors = adapter.tensors.get(path)!;
        const [R, C] = factors.a.shape;
        const [O] = factors.b.shape;
        expect([rank, ...shape]).toEqual([R, O, C]);
        const delta = new Float64Array(O * C);
        for (let o = 0; o < O; o++) {
          for (let c = 0; c < C; c++) {
            for (let r = 0; r < R; r++) delta[o * C + c]! += factors.b.data[o * R + r]! * factors.a.data[r * C + c]!;
            delta[o * C + c]! *= loraScale(factors, adapter);
          }
        }
        const of = (values: Float64Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
        const label = `${phase} ${path}`;
        expect(norm, label).toBeGreaterThan(0);
        expect(Math.abs(norm / of(delta) - 1), label).toBeLessThan(1e-12);
        // Σσ² = ‖Δ‖², and the greatest is what power iteration on ΔᵀΔ finds.
        expect(Math.hypot(...singularValues) / norm, label).toBeCloseTo(1, 10);
        expect(singularValues[0]! / greatestSingularValue(delta, O, C), label).toBeCloseTo(1, 6);
        expect(effectiveRank, label).toBeGreaterThanOrEqual(1);
        expect(effectiveRank, label).toBeLessThanOrEqual(R + 1e-9);
        if (phase === 'instruct') expect(fromInstruct).toBeUndefined();
        else {
          const moved = of(delta.map((value, i) => value - formed.get(path)![i]!));
          expect(moved, label).toBeGreaterThan(0);
          expect(Math.abs(fromInstruct! - moved) / norm, label).toBeLessThan(1e-7);
        }
        if (phase === 'instruct') formed.set(path, delta);
      }
    }
  });

  it('of a run without adapters are refused in words', async () => {
    await expect(session.adapterNorms('nobody', () => undefined)).rejects.toMatchObject({ code: 'storage' });
  });
});

function greatestSingularValue(m: Float64Array, O: number, C: number): number {
  const v = Float64Array.from({ length: C }, (_, i) => Math.sin(i + 1));
  const w = new Float64Array(C);
  let sigma = 0;
  for (let step = 0; step < 400; step++) {
    w.fill(0);
    for (let o = 0; o < O; o++) {
      let u = 0;
      for (let c = 0; c < C; c++) u += m[o * C + c]! * v[c]!;
      for (let c = 0; c < C; c++) w[c]! += u * m[o * C + c]!;
    }
    let square = 0;
    for (let c = 0; c < C; c++) square += w[c]! ** 2;
    const length = Math.sqrt(square);
    sigma = Math.sqrt(length);
    for (let c = 0; c < C; c++) v[c] = w[c]! / length;
  }
  return sigma;
}

describe('profileStep', () => {
  const job = (more: Partial<ProfileJob>): ProfileJob => ({
    gpu,
    experiment: readExperiment(experiment),
    phase: 'instruct',
    runId: undefined,
    method: undefined,
    files: openMemoryRoot(files.files),
    students: undefined,
    store,
    signal: new AbortController().signal,
    onProgress: () => undefined,
    ...more,
  });

  const expectSound = (profile: StepProfile): void => {
    expect(profile.dispatches.length).toBeGreaterThan(100);
    expect(profile.sumMs).toBeGreaterThan(0);
    expect(profile.wallMs).toBeGreaterThan(0);
    for (const { stage, ms, readBytes, writtenBytes, workgroups, kernel, repeats } of profile.dispatches) {
      expect(['forward', 'backward', 'optimiser']).toContain(stage[0]);
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(repeats).toBeGreaterThanOrEqual(1);
      expect(readBytes).toBeGreaterThan(0);
      expect(writtenBytes).toBeGreaterThan(0);
      expect(workgroups.length).toBeGreaterThanOrEqual(1);
      const { name, code } = profile.kernels[kernel]!;
      expect(code).toMatch(new RegExp(`fn\\s+${name}\\s*\\(`));
    }
    const places = new Set(profile.dispatches.map(({ stage }) => stage[1]));
    for (const place of ['embedding', 'layer 0', 'layer 1', 'final norm', 'head', 'loss'])
      expect(places).toContain(place);
  };

  it('watches the step that would have been taken: its dispatches, and to the bit its parameters', async () => {
    const parsed = readExperiment(experiment);
    let watched: Float32Array | undefined;
    const profile = await profileStep(job({ onWatched: (parameters) => (watched = parameters) }));
    expectSound(profile);
    expect(profile.batch.microBatches).toBeGreaterThan(1);

    // The same steps, by the same recipe, without anybody looking on.
    const root = openMemoryRoot(files.files);
    const opened = await openStudent(parsed, root);
    const prepared = await prepare(parsed, root, opened.tokenizer, opened.config);
    const student = await loadStudentWeights(gpu, parsed, opened, () => undefined, new AbortController().signal);
    const adapter = Adapter.create(student, { ...parsed.adapter, targets: [...parsed.adapter.targets] }, parsed.seed);
    const settings = parsed.phases.instruct as Exclude<typeof parsed.phases.instruct, false>;
    const plan = { ...planInstruct(prepared.examples, settings), totalSteps: WARM_UP_STEPS + 1 };
    const assets = { experiment: parsed, student, adapter, prepared, eosIds: opened.eosIds };
    const trainer = instructTrainer(assets, 'instruct', plan, settings);
    await trainer.ready();
    await instruct(trainer, plan, settings, { seed: parsed.seed, completedSteps: 0, onStep: () => Promise.resolve() });
    const plain = await adapter.readParameters();
    expect(plain.some((value) => value !== 0)).toBe(true);
    expect(new Uint32Array(watched!.buffer)).toEqual(new Uint32Array(plain.buffer));
    const slices = profile.dispatches.reduce((sum, { workgroups }) => sum + workgroups.length, 0);
    expect(slices).toBe(trainer.dispatchesPerStep);
    trainer.destroy();
    adapter.destroy();
    student.destroy();
  });

  it.runIf(process.env['PUPIL_TEST_LONG'])(
    'of self-refinement takes the run’s own pairs, and by submissions where there are no timestamps',
    async () => {
      const told: string[] = [];
      const profile = await session.profileStep(
        { experiment, files, phase: 'self-refine', runId: 'tiny', method: 'submissions' },
        ({ task }) => void told.push(task),
      );
      expectSound(profile);
      expect(profile.method).toBe('submissions');
      expect(profile.batch.sequences % 2).toBe(0);
      expect(profile.kernels.some(({ name }) => name.startsWith('loss_dpo') || name.startsWith('dpo_'))).toBe(true);
      expect(new Set(told)).toEqual(new Set(['Loading student', 'Warming up', 'Timing kernels']));
    },
  );

  it('without pairs says what is missing', async () => {
    const asked = session.profileStep({ experiment, files, phase: 'self-refine' }, () => undefined);
    await expect(asked).rejects.toMatchObject({ code: 'usage' });
  });

  it('leaves the device as it was: nothing is held, and another may watch', async () => {
    const before = gpu.account.current;
    const stopped = new AbortController();
    const onProgress = ({ task }: { task: string }): void => void (task === 'Timing kernels' && stopped.abort());
    await expect(profileStep(job({ signal: stopped.signal, onProgress }))).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(gpu.account.current).toBe(before);
    await watchCommands(
      gpu,
      () => undefined,
      () => Promise.resolve(),
    );
  });
});

describe('shaderFiles and checkFamilies', () => {
  it('tell every file of WGSL with its header, and every family', async () => {
    const shaders = await session.shaderFiles();
    const folder = fileURLToPath(new URL('../../../shaders/', import.meta.url));
    const onDisk = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.wgsl'));
    expect(shaders.map(({ family, name }) => `${family}/${name}.wgsl`).sort()).toEqual(onDisk.sort());
    for (const { name, summary, header } of shaders) {
      expect(header, name).toContain(name);
      expect(summary, name).not.toBe('');
      expect(summary, name).not.toMatch(/^\S+\.wgsl/);
    }
    expect(shaders.find(({ name }) => name === 'lora_backward_a')?.kind ?? 'kernel').toBe('kernel');
    expect(shaders.find(({ name }) => name === 'nf4_codebook')!.kind).toBe('prelude');
    const families = await session.checkFamilies();
    expect(families).toContain('swiglu');
    expect(new Set(families).size).toBe(families.length);
  });
});
