// kernels.svelte.ts: one training step as Inside shows it: its dispatches folded into parts (the embedding, a layer, the head),
// summed by kernel, and the WGSL of each. What is chosen is in the address: `system` the phase, `item` the kernel, `q` a search
// among the shaders.
import type { ProfiledDispatch, ProfiledKernel, ProfileRequest, ShaderFile, StepProfile } from '../../session/protocol';
import { toNotice, type Notice } from '../state/notice';
import type { Playground } from '../state/playground.svelte';
import { DeviceTask } from './deviceTask.svelte';
import { engineSource } from './engineSource';

export const BANDS = ['forward', 'backward', 'optimiser'] as const;
export type Band = (typeof BANDS)[number];

/** Dispatches one behind the other that belong to the same part. */
export interface Segment {
  index: number;
  band: Band;
  /** `layer 3`, `head`. */
  part: string;
  ms: number;
  dispatches: ProfiledDispatch[];
}

/** All dispatches of one kernel. */
export interface KernelSum {
  index: number;
  kernel: ProfiledKernel;
  count: number;
  ms: number;
  share: number;
  bytes: number;
  /** The constants it ran with, each combination once, with how often. */
  variants: { constants: Record<string, number>; count: number; label: string }[];
}

export class KernelsView {
  readonly task: DeviceTask;
  profile = $state.raw<StepProfile>();
  shaders = $state.raw<readonly ShaderFile[]>([]);
  shaderNotice = $state.raw<Notice>();
  /** Index of the segment that is unfolded. */
  segment = $state(0);
  private asked = false;

  readonly phase = $derived.by((): ProfileRequest['phase'] =>
    this.playground.address.get('system') === 'self-refine' ? 'self-refine' : 'instruct',
  );

  readonly segments = $derived.by((): Segment[] => {
    const out: Segment[] = [];
    for (const dispatch of this.profile?.dispatches ?? []) {
      const [band = 'forward', part = band] = dispatch.stage;
      const last = out.at(-1);
      if (last !== undefined && last.band === band && last.part === part) {
        last.dispatches.push(dispatch);
        last.ms += dispatch.ms;
      } else {
        out.push({ index: out.length, band: band as Band, part, ms: dispatch.ms, dispatches: [dispatch] });
      }
    }
    return out;
  });

  readonly bands = $derived.by(() => {
    const all = BANDS.map((band) => {
      const segments = this.segments.filter((one) => one.band === band);
      return { band, segments, ms: segments.reduce((sum, { ms }) => sum + ms, 0) };
    });
    const longest = Math.max(...all.map(({ ms }) => ms), Number.MIN_VALUE);
    return all.map((one) => ({ ...one, width: one.ms / longest }));
  });

  readonly unfolded = $derived(this.segments[this.segment]);

  /** The most time first. */
  readonly sums = $derived.by((): KernelSum[] => {
    const { profile } = this;
    if (profile === undefined) return [];
    const sums = profile.kernels.map((kernel, index): KernelSum => {
      return { index, kernel, count: 0, ms: 0, share: 0, bytes: 0, variants: [] };
    });
    for (const { kernel, ms, readBytes, writtenBytes, constants, label } of profile.dispatches) {
      const sum = sums[kernel]!;
      sum.count++;
      sum.ms += ms;
      sum.bytes += readBytes + writtenBytes;
      const key = JSON.stringify(constants);
      const known = sum.variants.find((one) => JSON.stringify(one.constants) === key);
      if (known === undefined) sum.variants.push({ constants, count: 1, label });
      else known.count++;
    }
    for (const sum of sums) sum.share = sum.ms / (profile.sumMs || 1);
    return sums.sort((a, b) => b.ms - a.ms);
  });

  /** The kernel of the step that the address names: by entry point and, where several share it, their number. */
  readonly chosenSum = $derived.by((): KernelSum | undefined => {
    const named = this.playground.address.get('item');
    return this.sums.find((one) => this.nameOf(one) === named);
  });
  readonly chosenShader = $derived.by((): ShaderFile | undefined => {
    const named = this.playground.address.get('item');
    return this.chosenSum === undefined ? this.shaders.find(({ name }) => name === named) : undefined;
  });

  /** Shader files that have the searched words, by family. */
  readonly found = $derived.by((): { family: string; files: ShaderFile[] }[] => {
    const words = this.playground.address.get('q').toLowerCase().split(/\s+/).filter(Boolean);
    const files = this.shaders.filter(({ name, family, code }) => {
      const text = `${family}/${name}\n${code}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    return [...new Set(files.map(({ family }) => family))].map((family) => {
      return { family, files: files.filter((one) => one.family === family) };
    });
  });

  constructor(readonly playground: Playground) {
    this.task = new DeviceTask(playground);
  }

  /** Kernels that differ by their preludes share an entry point: the second is `name~2`. */
  nameOf({ index, kernel }: KernelSum): string {
    const same = (this.profile?.kernels ?? []).slice(0, index).filter(({ name }) => name === kernel.name).length;
    return same === 0 ? kernel.name : `${kernel.name}~${same + 1}`;
  }

  /** Unfolds a part; -1 and 1 with the arrow keys. */
  move(by: number): void {
    this.segment = Math.min(Math.max(0, this.segment + by), Math.max(0, this.segments.length - 1));
  }

  choose(item: string): void {
    this.playground.address.set({ item });
  }

  async loadShaders(): Promise<void> {
    if (this.asked) return;
    this.asked = true;
    try {
      this.shaders = await this.playground.session.shaderFiles();
    } catch (error) {
      this.asked = false;
      this.shaderNotice = toNotice(error);
    }
  }

  async run(): Promise<void> {
    const { playground, phase } = this;
    await this.task.do(async () => {
      const source = await engineSource(playground, 'everything');
      this.profile = await playground.session.profileStep({ ...source, phase }, this.task.report);
      const slowest = this.segments.reduce((best, one) => (one.ms > best.ms ? one : best), this.segments[0]!);
      this.segment = slowest.index;
    });
  }
}

/** `0.412`, `12.3`: milliseconds with three digits. */
export const msWords = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3));

/** How exact a time is, in words: the clock's step spread over the runs in a row. */
export function methodWords({ method, resolutionMs, dispatches }: StepProfile): string {
  const most = dispatches.reduce((largest, { repeats }) => Math.max(largest, repeats), 1);
  const rows = most === 1 ? '' : ` Short ones ran up to ${most} times in a row, and the mean is told.`;
  if (method === 'submissions') {
    return `This adapter offers no timestamps: each dispatch was handed over by itself and waited for, less the ${msWords(resolutionMs)} ms that an empty one takes.${rows}`;
  }
  const coarse =
    resolutionMs >= 0.01
      ? ` The clock moves in steps of about ${msWords(resolutionMs)} ms: browsers round it unless started with a flag (--disable-dawn-features=timestamp_quantization).`
      : '';
  return `By timestamps of the GPU around each dispatch.${coarse}${rows}`;
}
