// linearChoice.ts: which variant computes which product on a device: the choice as plain data, what stands without a
// measurement, and how timings become a choice. It times nothing (measureLinear.ts) and keeps nothing between sessions.
import type { Gpu } from '../gpu/device';
import {
  linearVariants,
  subgroupLanesSupported,
  variantExists,
  type LinearOperation,
  type LinearVariant,
} from './linearKernels';

/** Products that want the same kernel. Many rows are a training batch or a prompt, few are a step of decoding. */
export const PRODUCT_CLASSES = ['forward_many_rows', 'backward_input', 'backward_weight', 'forward_few_rows'] as const;
export type ProductClass = (typeof PRODUCT_CLASSES)[number];

/** One variant for each class; plain data, so that it can be stored, recorded in a run and applied again. */
export type LinearChoice = Readonly<Record<ProductClass, LinearVariant>>;

/** What a choice depends on; a whole Gpu is one. */
export type ChoiceDevice = Pick<Gpu, 'adapter' | 'features'>;

/** Milliseconds of one product by variant. */
export type VariantTimes = Partial<Record<LinearVariant, number>>;

/** At most so many rows count as few: tiles would stay mostly empty. */
export const FEW_ROWS = 16;

/** `few_rows` shares the terms among 64 lanes: with fewer terms most would idle. */
const FEW_ROWS_MIN_TERMS = 64;

/** A challenger must take at most this share of the standing variant's time: less is noise, and noise must not choose. */
export const CLEAR_WIN = 0.9;

/** Why this device cannot run a variant, or undefined when it can. */
export function variantUnsupported(gpu: ChoiceDevice, variant: LinearVariant): string | undefined {
  return variant.startsWith('subgroup') && !subgroupLanesSupported(gpu.features.subgroupSize)
    ? `needs subgroups of 4 or 8 lanes, this adapter has ${gpu.features.subgroupSize}`
    : undefined;
}

export function operationOf(productClass: ProductClass): LinearOperation {
  return productClass.startsWith('forward') ? 'forward' : (productClass as LinearOperation);
}

/** The variants among which a class may choose on this device. Those made for few rows compete for few rows only. */
export function candidatesFor(gpu: ChoiceDevice, productClass: ProductClass): LinearVariant[] {
  return linearVariants.filter(
    (variant) =>
      variantExists(variant, operationOf(productClass)) &&
      variantUnsupported(gpu, variant) === undefined &&
      (productClass === 'forward_few_rows' || !variant.endsWith('few_rows')),
  );
}

/**
 * What stands without a measurement. On software adapters it is what bench/notes/linear.md found: registers and broadcasts at
 * every size. On GPUs it is general practice: workgroup memory, and a kernel of its own for few rows.
 */
export function defaultChoice(gpu: ChoiceDevice): LinearChoice {
  const all = (variant: LinearVariant, few = variant): LinearChoice => ({
    forward_few_rows: few,
    forward_many_rows: variant,
    backward_input: variant,
    backward_weight: variant,
  });
  if (!gpu.adapter.software) return all('tiled', 'few_rows');
  return variantUnsupported(gpu, 'subgroup') === undefined ? all('subgroup', 'subgroup_few_rows') : all('register');
}

/** The fastest variant where it beats the standing one clearly; else the standing one. A variant without a time lost. */
export function decideVariant(standing: LinearVariant, times: VariantTimes): LinearVariant {
  const timed = (Object.entries(times) as [LinearVariant, number][]).filter(([, ms]) => Number.isFinite(ms) && ms > 0);
  if (timed.length === 0) return standing;
  const [fastest, ms] = timed.reduce((a, b) => (b[1] < a[1] ? b : a));
  const known = timed.find(([variant]) => variant === standing);
  return known === undefined || ms <= CLEAR_WIN * known[1] ? fastest : standing;
}

/** A choice out of data from elsewhere (storage, a checkpoint), or undefined where this device cannot follow it. */
export function asChoice(gpu: ChoiceDevice, data: unknown): LinearChoice | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const given = data as Record<string, unknown>;
  const entries = PRODUCT_CLASSES.map((name) => [name, given[name]] as const);
  const valid = entries.every(([name, variant]) => candidatesFor(gpu, name).includes(variant as LinearVariant));
  return valid ? (Object.fromEntries(entries) as LinearChoice) : undefined;
}

const choices = new WeakMap<Gpu, LinearChoice>();
const overrides = new WeakMap<Gpu, LinearVariant>();

/** The choice that products prepared from now on follow on this device. */
export function setLinearChoice(gpu: Gpu, choice: LinearChoice): void {
  choices.set(gpu, choice);
}

export function linearChoice(gpu: Gpu): LinearChoice {
  return choices.get(gpu) ?? defaultChoice(gpu);
}

/**
 * One variant for every product that has it, whatever the choice: for tests, the self-check and measurements. undefined goes
 * back to the choice.
 */
export function setLinearVariant(gpu: Gpu, variant: LinearVariant | undefined): void {
  if (variant === undefined) overrides.delete(gpu);
  else overrides.set(gpu, variant);
}

/** What was set with {@link setLinearVariant}, or 'auto'. */
export function linearVariant(gpu: Gpu): LinearVariant | 'auto' {
  return overrides.get(gpu) ?? 'auto';
}

/** Runs `prepare` under one variant and puts back what was set before. */
export function withVariant<T>(gpu: Gpu, variant: LinearVariant | undefined, prepare: () => T): T {
  if (variant === undefined) return prepare();
  const before = overrides.get(gpu);
  setLinearVariant(gpu, variant);
  try {
    return prepare();
  } finally {
    setLinearVariant(gpu, before);
  }
}

/** The variant of one product: the one that was set, where it exists for the operation, else the choice's. */
export function pickVariant(
  gpu: Gpu,
  operation: LinearOperation,
  size: { capacity: number; terms: number },
): LinearVariant {
  const set = overrides.get(gpu);
  if (set !== undefined && variantExists(set, operation)) return set;
  const choice = linearChoice(gpu);
  if (operation !== 'forward') return choice[operation];
  const few = size.capacity <= FEW_ROWS ? choice.forward_few_rows : choice.forward_many_rows;
  return few === 'few_rows' && size.terms < FEW_ROWS_MIN_TERMS ? choice.forward_many_rows : few;
}

/** What a run records: its numbers agree bit for bit only under the same variants. */
export function describeVariants(gpu: Gpu): Record<string, string> {
  const choice = linearChoice(gpu);
  const set = overrides.get(gpu);
  return {
    ...Object.fromEntries(PRODUCT_CLASSES.map((name) => [`linear_${name}`, choice[name]])),
    ...(set === undefined ? {} : { linear: set }),
    subgroups: String(gpu.features.subgroupSize),
  };
}

/** The choice in what {@link describeVariants} gave, where this device can follow it. */
export function choiceOfDescription(gpu: ChoiceDevice, variants: Record<string, string>): LinearChoice | undefined {
  return asChoice(gpu, Object.fromEntries(PRODUCT_CLASSES.map((name) => [name, variants[`linear_${name}`]])));
}
