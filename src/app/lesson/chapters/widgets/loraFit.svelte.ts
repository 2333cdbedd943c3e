// loraFit.svelte.ts: the state of the second LoRA widget: a change of a weight to be learned, a rank, and B·A as it begins, as it
// is after so many gradient steps, or as good as that rank can be. The arithmetic is lowRank.ts's.
import type { WidgetSettings } from '../../../../config/chapter';
import {
  decompose,
  fitStep,
  leastError,
  product,
  relativeError,
  stableLearningRate,
  startFactors,
  targetUpdate,
  truncated,
  type Factors,
  type Matrix,
  type TargetName,
} from './lowRank';

export class LoraFit {
  private readonly seed: number;
  private chosenTarget = $state<TargetName>('few-directions');
  private chosenRank = $state(1);
  /** The best fit is shown in place of the trained one. */
  best = $state(false);
  /** Gradient steps taken since B = 0. */
  steps = $state(0);
  private factors: Factors = $state.raw({ rank: 0, a: new Float64Array(), b: new Float64Array() });

  readonly target: Matrix = $derived.by(() => targetUpdate(this.chosenTarget, this.seed));
  private readonly svd = $derived.by(() => decompose(this.target));
  readonly singularValues = $derived.by(() => [...this.svd.singularValues]);
  readonly fit: Matrix = $derived.by(() =>
    this.best ? truncated(this.svd, this.target, this.chosenRank) : product(this.factors, this.target),
  );
  readonly rest: Matrix = $derived.by(() => ({
    ...this.target,
    values: this.target.values.map((value, i) => value - this.fit.values[i]!),
  }));
  readonly error = $derived.by(() => relativeError(this.target, this.fit));
  readonly leastError = $derived.by(() => leastError(this.svd.singularValues, this.chosenRank));

  constructor({ target, rank, seed }: WidgetSettings<'lora-fit'>) {
    this.seed = seed;
    this.chosenTarget = target;
    this.chosenRank = rank;
    this.restart();
  }

  get targetName(): TargetName {
    return this.chosenTarget;
  }
  set targetName(name: TargetName) {
    this.chosenTarget = name;
    this.restart();
  }

  get rank(): number {
    return this.chosenRank;
  }
  set rank(rank: number) {
    this.chosenRank = rank;
    this.restart();
  }

  /** B = 0 again. What is shown stays the best fit where it was. */
  restart(): void {
    this.factors = startFactors(this.target, this.chosenRank, this.seed);
    this.steps = 0;
  }

  train(steps: number): void {
    this.best = false;
    const learningRate = stableLearningRate(this.svd.singularValues);
    let { factors } = this;
    for (let i = 0; i < steps; i++) factors = fitStep(factors, this.target, learningRate);
    this.factors = factors;
    this.steps += steps;
  }
}
