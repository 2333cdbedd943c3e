// curves.ts: the curves of a run's report: losses, rewards with their margin, both log-probabilities, gradient norms. It draws
// the rows that the report has; a chart is a matter of chart.ts.
import { lineChart, type ChartSeries } from './chart';
import type { PhaseName, RunReport } from './types';

function curve(report: RunReport, phase: PhaseName, key: string, name: string): ChartSeries {
  return {
    name,
    points: report.curves.flatMap((row) => {
      const value = row.phase === phase ? row.values[key] : undefined;
      return value === undefined ? [] : [[row.step, value] as const];
    }),
  };
}

/** Said below the curves, where phase 2 has made any: what a reader should look for in them. */
const REWARDS_NOTE =
  '<p class="soft">The margin is the reward of the chosen answer less that of the rejected one. It can grow while both log-probabilities fall; where the chosen answer’s falls far as well, the student is being driven away from good answers too.</p>';

/** All curves that have values, side by side where there is room. */
export function curves(report: RunReport): string {
  const xLabel = 'optimiser step';
  const of = (phase: PhaseName, ...keys: (readonly [string, string])[]): ChartSeries[] =>
    keys.map(([key, name]) => curve(report, phase, key, name)).filter((series) => series.points.length > 0);
  const { selfRefine } = report.experiment.phases;
  const loss = selfRefine === false ? undefined : selfRefine.loss;
  // Of these losses, ℓ(0) = ln 2: policy and reference are the same before the first step.
  const startsAtLn2 = loss === 'sigmoid' || loss === 'robust';
  const charts = [
    lineChart({
      title: 'Instruction-tuning: loss (nats per answer token)',
      xLabel,
      series: of('instruct', ['loss', 'training'], ['eval_loss', 'validation']),
    }),
    lineChart({
      title: 'Control, more instruction-tuning: loss (nats per answer token)',
      xLabel,
      series: of('control', ['loss', 'training']),
    }),
    lineChart({
      title: `Self-refine: DPO loss${startsAtLn2 ? ' (ln 2 = 0.693 at the start)' : ''}`,
      xLabel,
      series: of('self-refine', ['loss', 'training'], ['eval_loss', 'validation']),
    }),
    lineChart({
      title: 'Self-refine: rewards, β · log π/π_inst',
      xLabel,
      series: of(
        'self-refine',
        ['rewards/chosen', 'chosen'],
        ['rewards/rejected', 'rejected'],
        ['rewards/margins', 'margin'],
      ),
    }),
    lineChart({
      title: `Self-refine: log-probability of an answer (nats, ${loss === 'ipo' ? 'mean' : 'sum'} over its tokens)`,
      xLabel,
      series: of(
        'self-refine',
        ['logps/chosen', 'chosen'],
        ['logps/rejected', 'rejected'],
        ['eval_logps/chosen', 'chosen, validation'],
        ['eval_logps/rejected', 'rejected, validation'],
      ),
    }),
    lineChart({
      title: 'Gradient norm before clipping',
      xLabel,
      series: [
        ...of('instruct', ['grad_norm', 'instruction-tuning']),
        ...of('control', ['grad_norm', 'control']),
        ...of('self-refine', ['grad_norm', 'self-refine']),
      ],
    }),
  ].filter((chart) => chart !== '');
  if (charts.length === 0) return '';
  const refined = report.curves.some((row) => row.values['rewards/margins'] !== undefined);
  return `<div class="charts">${charts.join('\n')}</div>${refined ? REWARDS_NOTE : ''}`;
}
