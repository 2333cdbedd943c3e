// howLittleData.svelte.ts: the measured accuracy over the share of demonstrations as the widget shows it: which task, which lines,
// a prediction of the class and whether it has been resolved. The numbers are docs/results/lesson-splits.series.json's, cut out by
// scripts/chapterData.mjs.
import type { WidgetSettings } from '../../../../config/chapter';
import splits from './lessonSplits.json';

export type SplitPoint = (typeof splits)['points'][number];
export type SplitTask = WidgetSettings<'how-little-data'>['task'];

export const SYSTEMS = [
  'Baseline',
  'Instruction-tuned only',
  'Self-refined only',
  'Instruction-tuned, then self-refined',
] as const;
export type SplitSystem = (typeof SYSTEMS)[number];
/** What a class is asked to predict: the line that surprises. */
export const PREDICTED: SplitSystem = 'Instruction-tuned, then self-refined';
export const PERCENTS = [25, 50, 75, 100] as const;
export const { seeds: SEEDS, demonstrations: ALL_DEMONSTRATIONS, source: SOURCE } = splits;

export const demonstrationsAt = (percent: number): number => (ALL_DEMONSTRATIONS * percent) / 100;

export class HowLittleData {
  task = $state<SplitTask>('A stories');
  /** Lines that are left out of the picture. */
  hidden = $state.raw<readonly SplitSystem[]>([]);
  /** The class's guess at each share, in per cent. */
  prediction = $state([50, 50, 50, 50]);
  private asks = $state(true);
  private looked = $state(false);

  constructor({ task, predict }: WidgetSettings<'how-little-data'>) {
    this.task = task;
    this.asks = predict;
  }

  /** A prediction is still to be made: its line is hidden. */
  readonly predicting = $derived.by(() => this.asks && !this.looked);
  readonly wasPredicted = $derived.by(() => this.asks && this.looked);
  readonly shown: readonly SplitSystem[] = $derived.by(() =>
    SYSTEMS.filter((system) => !this.hidden.includes(system) && !(this.predicting && system === PREDICTED)),
  );
  /** How far the guesses were off, in points, in the mean. */
  readonly missedBy = $derived.by(
    () =>
      PERCENTS.reduce((sum, percent, i) => {
        return sum + Math.abs(this.prediction[i]! - 100 * this.at(PREDICTED, percent).mean);
      }, 0) / PERCENTS.length,
  );

  reveal(): void {
    this.looked = true;
  }

  toggle(system: SplitSystem): void {
    this.hidden = this.hidden.includes(system) ? this.hidden.filter((one) => one !== system) : [...this.hidden, system];
  }

  /** The measured point; every one of the figure is there (the test of the data says so). */
  at(system: SplitSystem, percent: number): SplitPoint {
    return splits.points.find(
      (point) => point.task === this.task && point.system === system && point.percent === percent,
    )!;
  }
}
