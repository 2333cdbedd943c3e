// weights.svelte.ts: what Inside shows of a student's linear weights: what NF4 does to each, and how far a run's adapters have
// moved it. Which number is shown is in the address (`metric`, `system`); how it is drawn is WeightsView.svelte.
import { LINEAR_NAMES, type LinearName } from '../../base/linearNames';
import type {
  AdapterMeasures,
  AdapterPhase,
  UpdateMeasure,
  WeightMeasure,
  WeightMeasures,
} from '../../session/protocol';
import { formatNumber } from '../format';
import { toNotice, type Notice } from '../state/notice';
import type { Playground } from '../state/playground.svelte';
import { DeviceTask } from './deviceTask.svelte';
import { engineSource } from './engineSource';
import { insideRunOf } from './insideRun.svelte';

interface Cell {
  weight: WeightMeasure | undefined;
  update: UpdateMeasure | undefined;
}

export interface WeightMetric {
  id: string;
  label: string;
  /** Of the base weight, or of an adapter's update. */
  of: 'weight' | 'update';
  /** What the number is, in a sentence. */
  meaning: string;
  value: (cell: Cell) => number | undefined;
  words: (value: number) => string;
}

const percent = (value: number): string => `${(100 * value).toPrecision(3)} %`;

export const WEIGHT_METRICS: readonly WeightMetric[] = [
  {
    id: 'error',
    label: 'NF4 error, relative',
    of: 'weight',
    meaning: 'The length of what 4 bits change, in parts of the length of the weight: ‖W − Ŵ‖ / ‖W‖.',
    value: ({ weight }) => weight?.error?.relative,
    words: percent,
  },
  {
    id: 'greatest',
    label: 'NF4 error, greatest',
    of: 'weight',
    meaning: 'The largest change of a single weight: max |W − Ŵ|.',
    value: ({ weight }) => weight?.error?.greatest,
    words: formatNumber,
  },
  {
    id: 'scale',
    label: 'Scale of a block, median',
    of: 'weight',
    meaning:
      'Every 64 weights share one scale, the largest of them. A few large weights make the steps of 63 others coarse.',
    value: ({ weight }) => weight?.absmax[2],
    words: formatNumber,
  },
  {
    id: 'norm',
    label: 'Length of the weight',
    of: 'weight',
    meaning: '‖W‖: the root of the sum of the squares of all weights of the matrix.',
    value: ({ weight }) => weight?.norm,
    words: formatNumber,
  },
  {
    id: 'update',
    label: 'LoRA update, length',
    of: 'update',
    meaning: 'How far the adapter moves the weight: ‖(α/r)·B·A‖.',
    value: ({ update }) => update?.norm,
    words: formatNumber,
  },
  {
    id: 'share',
    label: 'LoRA update, relative',
    of: 'update',
    meaning: 'The length of the update in parts of the length of the weight: ‖(α/r)·B·A‖ / ‖W‖. Needs both.',
    value: ({ weight, update }) =>
      weight === undefined || update === undefined ? undefined : update.norm / weight.norm,
    words: percent,
  },
  {
    id: 'rank',
    label: 'LoRA update, effective rank',
    of: 'update',
    meaning:
      'In how many directions the update goes: 1 if one direction has all of it, the rank r if all have the same.',
    value: ({ update }) => update?.effectiveRank,
    words: (value) => value.toFixed(2),
  },
  {
    id: 'moved',
    label: 'Moved since instruct',
    of: 'update',
    meaning: 'How far a later phase has moved the update away from that of phase 1: ‖Δ − Δ of instruct‖.',
    value: ({ update }) => update?.fromInstruct,
    words: formatNumber,
  },
];

export const PHASE_WORDS: Readonly<Record<AdapterPhase, string>> = {
  instruct: 'Instruction-tuned',
  control: 'Instruction-tuned, more steps',
  'self-refine': 'Self-refined',
};

export class WeightsView {
  readonly task: DeviceTask;
  measured = $state.raw<WeightMeasures>();
  /** While they come in. */
  arriving = $state.raw<readonly WeightMeasure[]>([]);
  adapters = $state.raw<AdapterMeasures>();
  reading = $state.raw('');
  /** Why there are no updates to show. */
  adapterNotice = $state.raw<Notice>();
  chosen = $state.raw<{ layer: number; module: LinearName }>({ layer: 0, module: 'q_proj' });
  /** Whose measurements they are. */
  private of = '';
  private adaptersOf = '';

  readonly runId = $derived.by(() => insideRunOf(this.playground).runId);
  readonly weights = $derived(this.measured?.weights ?? this.arriving);
  readonly phases = $derived((this.adapters?.phases ?? []).map(({ phase }) => phase));
  readonly phase = $derived.by((): AdapterPhase | undefined => {
    const named = this.playground.address.get('system');
    return this.phases.find((phase) => phase === named) ?? this.phases.at(-1);
  });
  readonly metric = $derived.by((): WeightMetric => {
    const named = this.playground.address.get('metric');
    const standard = this.weights.length > 0 || this.adapters === undefined ? 'error' : 'update';
    return WEIGHT_METRICS.find(({ id }) => id === (named === '' ? standard : named)) ?? WEIGHT_METRICS[0]!;
  });
  readonly layers = $derived.by(() => {
    const known = [...this.weights, ...this.updates].map(({ layer }) => layer + 1);
    return Math.max(this.measured?.layers ?? 0, ...known);
  });
  readonly updates = $derived(this.adapters?.phases.find(({ phase }) => phase === this.phase)?.updates ?? []);
  private readonly cells = $derived.by(() => {
    const cells = new Map<string, Cell>();
    const at = (layer: number, module: LinearName): Cell => {
      const key = `${layer} ${module}`;
      const cell = cells.get(key) ?? { weight: undefined, update: undefined };
      cells.set(key, cell);
      return cell;
    };
    for (const weight of this.weights) at(weight.layer, weight.module).weight = weight;
    for (const update of this.updates) at(update.layer, update.module).update = update;
    return cells;
  });
  /** Least and greatest of what is shown, for the colours. */
  readonly range = $derived.by((): [number, number] | undefined => {
    const values = [...this.cells.values()]
      .map(this.metric.value)
      .filter((value): value is number => value !== undefined && Number.isFinite(value));
    return values.length === 0 ? undefined : [Math.min(...values), Math.max(...values)];
  });
  readonly chosenCell = $derived.by(() => this.cell(this.chosen.layer, this.chosen.module));

  constructor(readonly playground: Playground) {
    this.task = new DeviceTask(playground);
  }

  cell(layer: number, module: LinearName): Cell {
    return this.cells.get(`${layer} ${module}`) ?? { weight: undefined, update: undefined };
  }

  value(layer: number, module: LinearName): number | undefined {
    return this.metric.value(this.cell(layer, module));
  }

  /** 0 for the least of what is shown, 1 for the greatest. */
  heat(value: number | undefined): number {
    if (value === undefined || this.range === undefined) return 0;
    const [least, greatest] = this.range;
    return greatest === least ? 0.5 : (value - least) / (greatest - least);
  }

  /** The cell that an arrow key leads to. */
  move(layers: number, modules: number): void {
    const column = LINEAR_NAMES.indexOf(this.chosen.module) + modules;
    const layer = this.chosen.layer + layers;
    this.chosen = {
      layer: Math.min(Math.max(0, layer), Math.max(0, this.layers - 1)),
      module: LINEAR_NAMES[Math.min(Math.max(0, column), LINEAR_NAMES.length - 1)]!,
    };
  }

  /** Another run is shown: what was measured of the former one is gone, and its own adapters are read. */
  async look(revision: string): Promise<void> {
    const { runId, playground } = this;
    if (this.of !== runId && !this.task.running) {
      this.measured = undefined;
      this.arriving = [];
      this.of = runId;
    }
    const asked = `${runId} ${revision}`;
    if (this.adaptersOf === asked) return;
    this.adaptersOf = asked;
    this.adapters = this.adapterNotice = undefined;
    if (runId === '') return;
    try {
      this.reading = 'Reading the adapters …';
      const adapters = await playground.session.adapterNorms(runId, ({ task, done, total }) => {
        this.reading = `${task}: ${done} of ${total ?? '?'} modules`;
      });
      if (this.adaptersOf === asked) this.adapters = adapters;
    } catch (error) {
      if (this.adaptersOf === asked) this.adapterNotice = toNotice(error);
    } finally {
      this.reading = '';
    }
  }

  /** Measures every weight; `original`: read from the student's source again, past this browser's copy. */
  async measure(options: { original?: boolean; quantize?: 'nf4' | 'nf4-double' } = {}): Promise<void> {
    const { playground, runId } = this;
    await this.task.do(async () => {
      const { experiment, files } = await engineSource(playground, 'student');
      this.measured = undefined;
      this.arriving = [];
      this.of = runId;
      let arrived: WeightMeasure[] = [];
      this.measured = await playground.session.weightErrors(
        {
          experiment,
          files,
          ...(options.original === true ? { cache: 'off' as const } : {}),
          ...(options.quantize === undefined ? {} : { quantize: options.quantize }),
        },
        (weight, progress) => {
          arrived = [...arrived, weight];
          this.arriving = arrived;
          this.task.report(progress);
        },
      );
    });
  }
}
