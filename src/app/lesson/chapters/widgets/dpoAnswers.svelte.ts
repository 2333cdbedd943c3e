// dpoAnswers.svelte.ts: the state of the second DPO widget: a policy over a few answers, the pair it is trained on, and how the
// probabilities went from step to step. The arithmetic is softmaxPolicy.ts's.
import type { WidgetSettings } from '../../../../config/chapter';
import { dpoGradient, dpoStep, logProbabilities, makePolicy, policyPair, type Policy } from './softmaxPolicy';

/** Steps that are kept: the curves have no more. */
const MOST_STEPS = 400;

export class DpoAnswers {
  private sharesTraits = $state(true);
  private chosenIndex = $state(0);
  private rejectedIndex = $state(1);
  beta = $state(0.1);
  learningRate = $state(1);
  private policy: Policy = $state.raw(makePolicy([]));
  /** log π of all answers, at the start and after each step. */
  history: readonly Float64Array[] = $state.raw([]);

  readonly logps = $derived.by(() => logProbabilities(this.policy));
  readonly reference = $derived.by(() => this.policy.reference);
  readonly pair = $derived.by(() =>
    policyPair(this.policy, { chosen: this.chosenIndex, rejected: this.rejectedIndex }, this.beta),
  );
  readonly steps = $derived.by(() => this.history.length - 1);
  readonly finished = $derived.by(() => this.steps >= MOST_STEPS);
  /** −∂L/∂θ: where the next step goes. */
  readonly direction = $derived.by(() =>
    [...dpoGradient(this.policy, { chosen: this.chosenIndex, rejected: this.rejectedIndex }, this.beta)].map(
      (slope) => 0 - slope,
    ),
  );
  /** log π/π_ref of an answer. */
  ratio = (answer: number): number => this.logps[answer]! - this.reference[answer]!;

  constructor(readonly settings: WidgetSettings<'dpo-answers'>) {
    this.chosenIndex = settings.chosen - 1;
    this.rejectedIndex = settings.rejected - 1;
    this.beta = settings.beta;
    this.learningRate = settings.learningRate;
    this.restart();
  }

  /** Answers share what they are made of, as a language model's do; else each stands alone. */
  get shared(): boolean {
    return this.sharesTraits;
  }
  set shared(shared: boolean) {
    this.sharesTraits = shared;
    this.restart();
  }

  get chosen(): number {
    return this.chosenIndex;
  }
  /** The rejected one makes room where it was the same. */
  set chosen(answer: number) {
    if (answer === this.rejectedIndex) this.rejectedIndex = this.chosenIndex;
    this.chosenIndex = answer;
    this.restart();
  }

  get rejected(): number {
    return this.rejectedIndex;
  }
  set rejected(answer: number) {
    if (answer === this.chosenIndex) this.chosenIndex = this.rejectedIndex;
    this.rejectedIndex = answer;
    this.restart();
  }

  restart(): void {
    const { answers } = this.settings;
    this.policy = makePolicy(
      answers.map(({ probability }) => probability),
      this.sharesTraits ? answers.map(({ traits }) => traits) : undefined,
    );
    this.history = [logProbabilities(this.policy)];
  }

  train(steps: number): void {
    const pair = { chosen: this.chosenIndex, rejected: this.rejectedIndex };
    const history = [...this.history];
    let { policy } = this;
    for (let i = 0; i < steps && history.length <= MOST_STEPS; i++) {
      policy = dpoStep(policy, pair, this.beta, this.learningRate);
      history.push(logProbabilities(policy));
    }
    this.policy = policy;
    this.history = history;
  }
}
