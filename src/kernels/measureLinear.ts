// measureLinear.ts: times the variants of the linear kernels on THIS device and makes a choice of them. Whether their numbers
// are right is the self-check's business: operands are zeros here. A kernel that hangs or crashes a driver does it here, so
// the device should be one that nothing else uses.
import { median } from '../base/statistics';
import { Recorder, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { Rows } from '../gpu/rows';
import type { Arena } from '../gpu/tensor';
import { linearBackwardInput, linearBackwardWeight, linearForward } from './linear';
import {
  candidatesFor,
  decideVariant,
  defaultChoice,
  withVariant,
  PRODUCT_CLASSES,
  type LinearChoice,
  type ProductClass,
  type VariantTimes,
} from './linearChoice';
import type { LinearVariant } from './linearKernels';
import { makeNf4Weight } from './quantize';
import type { DenseWeight, LinearWeight } from './weights';

/** The shapes of the products. */
export interface MeasuredSize {
  fewRows: number;
  manyRows: number;
  /** Width of the input, C, and of the output, O. */
  inputs: number;
  outputs: number;
}

export interface MeasureOptions {
  size?: MeasuredSize;
  /** Only these compete, beside the standing ones; all by default. */
  variants?: readonly LinearVariant[];
  /** Rounds in which every contender runs once; the median counts. */
  rounds?: number;
  /** Milliseconds after which classes not begun keep their standing variant. Compiling does not count. 800 on a GPU. */
  budgetMs?: number;
}

/** Plain data. */
export interface LinearMeasurement {
  choice: LinearChoice;
  /** Milliseconds of one NF4 and one dense product (backward_weight: dense only) together. */
  times: Record<ProductClass, VariantTimes>;
  /** The dense forward products with their weight stored as f32 and as f16; absent without shader-f16 or time. */
  storage?: { f32: number; f16: number };
  /** Of the slowest class with many rows, under the chosen variant; absent without time. */
  multiplyAddsPerMs?: number;
}

/** Large enough to fill a GPU, small enough for an integrated one. */
const HARDWARE_SIZE: MeasuredSize = { fewRows: 8, manyRows: 256, inputs: 1024, outputs: 1024 };
/** Where a multiply-add costs a thousand times as much. */
const SOFTWARE_SIZE: MeasuredSize = { fewRows: 8, manyRows: 64, inputs: 128, outputs: 256 };

/** A sample lasts at least so long, by repeating the product: clocks of browsers tick in 0.1 ms. */
const SAMPLE_MS = 2;
const MAX_REPEATS = 256;
/** A contender so much slower than the standing variant is not run again. */
const HOPELESS = 2;

type Form = 'f32' | 'f16' | 'nf4';

/** Milliseconds by contender and round. */
export type Rounds<Name extends string> = Partial<Record<Name, number[]>>;

/** One product, prepared under one variant; not yet compiled. */
interface Contender<Name extends string> {
  name: Name;
  commands: Command[];
}

/** The operands of one shape and the ways to multiply them. */
class Operands {
  private readonly weights = new Map<Form, LinearWeight>();

  constructor(
    private readonly gpu: Gpu,
    private readonly arena: Arena,
    private readonly size: MeasuredSize,
  ) {}

  private weight(form: Form): LinearWeight {
    const shape = [this.size.outputs, this.size.inputs] as const;
    const known = this.weights.get(form);
    if (known !== undefined) return known;
    const made: LinearWeight =
      form === 'nf4'
        ? makeNf4Weight(this.arena, 'measured nf4', shape, { double: true })
        : { kind: form, shape, data: this.arena.tensor(`measured ${form}`, shape, form) };
    this.weights.set(form, made);
    return made;
  }

  prepare(productClass: ProductClass, form: Form, variant: LinearVariant): Command[] {
    const { gpu, arena, size } = this;
    const N = productClass === 'forward_few_rows' ? size.fewRows : size.manyRows;
    const rows = new Rows(gpu, arena, 'measured', N);
    rows.set(N);
    const x = arena.tensor('x', [N, size.inputs]);
    const y = arena.tensor('y', [N, size.outputs]);
    return withVariant(gpu, variant, () => {
      if (productClass === 'backward_input') {
        return linearBackwardInput(gpu, { dY: y, dX: x }, { rows, weight: this.weight(form) });
      }
      if (productClass !== 'backward_weight') return linearForward(gpu, { x, y }, { rows, weight: this.weight(form) });
      const dW = (this.weight('f32') as DenseWeight).data;
      return linearBackwardWeight(gpu, { x, dY: y, dW }, { rows });
    });
  }
}

/** Those that this device compiles. */
async function compiled<Name extends string>(contenders: readonly Contender<Name>[]): Promise<Contender<Name>[]> {
  const results = await Promise.allSettled(
    contenders.map(({ commands }) =>
      Promise.all(commands.flatMap((command) => (command.kind === 'dispatch' ? [command.handle.promise] : []))),
    ),
  );
  return contenders.filter((_, i) => results[i]!.status === 'fulfilled');
}

async function timeOnce(gpu: Gpu, commands: readonly Command[], repeats: number): Promise<number> {
  const recorder = new Recorder(gpu, 'measure linear');
  for (let i = 0; i < repeats; i++) recorder.add(...commands);
  const start = performance.now();
  recorder.submit();
  await gpu.idle();
  return performance.now() - start;
}

/**
 * Milliseconds of one product of each contender in each round, in turns, so that whatever else the machine does hits all
 * alike; of a hopeless one only the first.
 */
async function race<Name extends string>(
  gpu: Gpu,
  contenders: readonly Contender<Name>[],
  standing: Name,
  rounds: number,
): Promise<Rounds<Name>> {
  const first = contenders.find(({ name }) => name === standing) ?? contenders[0];
  if (first === undefined) return {};
  await timeOnce(gpu, first.commands, 1); // the first use of buffers and pipeline
  let repeats = 1;
  let sampleMs = await timeOnce(gpu, first.commands, repeats);
  while (sampleMs < SAMPLE_MS && repeats < MAX_REPEATS) {
    repeats *= 2;
    sampleMs = await timeOnce(gpu, first.commands, repeats);
  }
  const samples = new Map<Name, number[]>();
  const racing: Contender<Name>[] = [];
  for (const contender of contenders) {
    await timeOnce(gpu, contender.commands, 1);
    // A hopeless one must not cost as many repeats as the standing one can afford.
    let own = 1;
    let ms = await timeOnce(gpu, contender.commands, own);
    while (own < repeats && ms <= HOPELESS * sampleMs) {
      own *= 2;
      ms = await timeOnce(gpu, contender.commands, own);
    }
    samples.set(contender.name, [ms / own]);
    if (ms <= HOPELESS * sampleMs || contender === first) racing.push(contender);
  }
  for (let round = 1; round < rounds; round++) {
    for (const { name, commands } of racing) {
      samples.get(name)!.push((await timeOnce(gpu, commands, repeats)) / repeats);
    }
  }
  return Object.fromEntries(samples) as Rounds<Name>;
}

/** Names that every race has, with the sum of their times, round by round. */
function summed<Name extends string>(races: readonly Rounds<Name>[]): Rounds<Name> {
  const names = Object.keys(races[0] ?? {}) as Name[];
  const everywhere = names.filter((name) => races.every((times) => times[name] !== undefined));
  const sums = (name: Name): number[] => {
    const count = Math.min(...races.map((times) => times[name]!.length));
    return Array.from({ length: count }, (_, round) => races.reduce((total, times) => total + times[name]![round]!, 0));
  };
  return Object.fromEntries(everywhere.map((name) => [name, sums(name)])) as Rounds<Name>;
}

function medians<Name extends string>(rounds: Rounds<Name>): Partial<Record<Name, number>> {
  const entries = Object.entries(rounds) as [Name, number[]][];
  return Object.fromEntries(entries.map(([name, ms]) => [name, median(ms)])) as Partial<Record<Name, number>>;
}

/**
 * The standing variant and those that were faster than it in all rounds but one at the most. Where other processes use the
 * same GPU, medians alone once made a variant of half the speed win (H100, nine processes measuring at once).
 */
export function steadyWinners<Name extends string>(
  standing: Name,
  rounds: Rounds<Name>,
): Partial<Record<Name, number>> {
  const own = rounds[standing] ?? [];
  const steady = (Object.entries(rounds) as [Name, number[]][]).filter(
    ([name, ms]) =>
      name === standing ||
      own.length === 0 ||
      (ms.length === own.length && ms.filter((time, i) => time < own[i]!).length >= own.length - 1),
  );
  return medians(Object.fromEntries(steady) as Rounds<Name>);
}

/** Multiply-adds a millisecond of the slowest class that has many rows. */
function slowest(
  { manyRows, inputs, outputs }: MeasuredSize,
  choice: LinearChoice,
  times: Record<ProductClass, VariantTimes>,
): number | undefined {
  const speeds = (['forward_many_rows', 'backward_input'] as const).flatMap((name) => {
    const ms = times[name][choice[name]];
    return ms === undefined || ms <= 0 ? [] : [(2 * manyRows * inputs * outputs) / ms]; // an NF4 product and a dense one
  });
  return speeds.length === 0 ? undefined : Math.min(...speeds);
}

/**
 * Times every candidate of every class and chooses: a challenger must beat the standing variant clearly (decideVariant). About
 * half a second on a GPU, plus compiling; a minute on a software adapter, most of it compiling.
 *
 * @throws PupilError where the device fails; a variant that does not compile merely does not compete.
 */
export async function measureLinear(gpu: Gpu, options: MeasureOptions = {}): Promise<LinearMeasurement> {
  const size = options.size ?? (gpu.adapter.software ? SOFTWARE_SIZE : HARDWARE_SIZE);
  // On a software adapter only who insists measures, so there the whole of it.
  const { rounds = 5, budgetMs = gpu.adapter.software ? Infinity : 800 } = options;
  const standing = defaultChoice(gpu);
  const arena = gpu.arena('measure linear');
  try {
    const operands = new Operands(gpu, arena, size);
    // Everything is asked for before the first wait, so that all of it compiles side by side.
    const entries = PRODUCT_CLASSES.map((productClass) => {
      const names = candidatesFor(gpu, productClass).filter(
        (name) => name === standing[productClass] || (options.variants?.includes(name) ?? true),
      );
      const forms: Form[] = productClass === 'backward_weight' ? ['f32'] : ['nf4', 'f32'];
      const races = forms.map((form) =>
        names.map((name) => ({ name, commands: operands.prepare(productClass, form, name) })),
      );
      return { productClass, races };
    });
    const ready = await Promise.all(
      entries.map(async ({ productClass, races }) => ({ productClass, races: await Promise.all(races.map(compiled)) })),
    );

    let spentMs = 0;
    const within = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
      if (spentMs >= budgetMs) return undefined;
      const start = performance.now();
      const result = await work();
      spentMs += performance.now() - start;
      return result;
    };
    const choice: Record<ProductClass, LinearVariant> = { ...standing };
    const times = Object.fromEntries(PRODUCT_CLASSES.map((name) => [name, {}])) as Record<ProductClass, VariantTimes>;
    for (const { productClass, races } of ready) {
      const own = await within(async () => {
        const results: Rounds<LinearVariant>[] = [];
        for (const contenders of races) results.push(await race(gpu, contenders, standing[productClass], rounds));
        return summed(results);
      });
      times[productClass] = medians(own ?? {});
      choice[productClass] = decideVariant(standing[productClass], steadyWinners(standing[productClass], own ?? {}));
    }
    const speed = slowest(size, choice, times);
    const measured = { choice, times, ...(speed === undefined ? {} : { multiplyAddsPerMs: speed }) };
    if (!gpu.features.f16) return measured;

    const stored = await Promise.all(
      (['forward_few_rows', 'forward_many_rows'] as const).map((productClass) =>
        compiled(
          (['f32', 'f16'] as const).map((form) => ({
            name: form,
            commands: operands.prepare(productClass, form, choice[productClass]),
          })),
        ),
      ),
    );
    const storage = await within(async () => {
      const results: Rounds<'f32' | 'f16'>[] = [];
      for (const contenders of stored) results.push(await race(gpu, contenders, 'f32', rounds));
      return summed(results);
    });
    const { f32, f16 } = medians(storage ?? {});
    return { ...measured, ...(f32 === undefined || f16 === undefined ? {} : { storage: { f32, f16 } }) };
  } finally {
    arena.destroy();
  }
}
