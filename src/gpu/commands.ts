// commands.ts: prepared GPU commands (made once, at set-up) and the recorder that plays them into one encoder with as
// few passes as the mix of dispatches, clears and copies allows; and who looks on. Nothing here allocates GPU memory per step.
import { PupilError } from '../base/errors';
import type { Gpu } from './device';
import type { BindingKind, Constants, KernelSource, PipelineHandle } from './pipelines';
import type { Rows } from './rows';
import type { Tensor } from './tensor';

/** Workgroups in x, y, z. */
export type Grid = readonly [number, number, number];

export interface DispatchOptions {
  /** Bound tensors and uniform buffers, by the names of the WGSL variables; all of them, nothing else. */
  bind: Record<string, Tensor | GPUBuffer>;
  constants?: Constants;
  /** For kernels that declare `rows`. */
  rows?: Rows;
  /** Largest number of rows in one dispatch; all at once by default. */
  rowsPerSlice?: number;
  /** Workgroups for so many rows (the rows of a slice). Kernels without `rows` get 0. */
  grid: (rows: number) => Grid;
  label?: string;
}

export type Command = Dispatch | ClearCommand | CopyCommand;

/** What a dispatch has bound to one of its variables. */
export interface BoundBuffer {
  name: string;
  kind: BindingKind;
  /** All that is bound, whatever part of it the kernel touches. */
  sizeBytes: number;
}

/** One kernel with its tensors bound. */
export class Dispatch {
  readonly kind = 'dispatch';
  readonly label: string;
  readonly handle: PipelineHandle;
  readonly bound: readonly BoundBuffer[];
  /** What it is a part of, outermost first; see {@link inStage}. */
  stage: readonly string[] = [];
  private readonly bindGroup: GPUBindGroup;
  private readonly rows: Rows | undefined;
  private readonly rowsPerSlice: number;
  private readonly firstSlot: number;
  private readonly grid: (rows: number) => Grid;

  constructor(
    private readonly gpu: Gpu,
    source: KernelSource,
    options: DispatchOptions,
  ) {
    this.label = options.label ?? source.name;
    this.handle = gpu.pipelines.request(source, options.constants);
    this.grid = options.grid;
    this.rows = options.rows;
    const names = new Set(Object.keys(options.bind));
    const entries: GPUBindGroupEntry[] = source.bindings.map((binding) => {
      if (binding.kind === 'rows') {
        if (options.rows === undefined) throw new PupilError('gpu-validation', `${source.name}: needs rows`);
        return { binding: binding.index, resource: { buffer: options.rows.buffer, offset: 0, size: 16 } };
      }
      const bound = options.bind[binding.name];
      if (bound === undefined)
        throw new PupilError('gpu-validation', `${source.name}: nothing bound to ${binding.name}`);
      names.delete(binding.name);
      if (!('shape' in bound)) return { binding: binding.index, resource: { buffer: bound } };
      if (bound.sizeBytes > gpu.limits.maxStorageBufferBindingSize) {
        throw new PupilError(
          'gpu-limit',
          `${source.name}: ${bound.label} has ${bound.sizeBytes} bytes, this adapter binds at most ${gpu.limits.maxStorageBufferBindingSize}`,
          'Use a smaller batch or length.',
        );
      }
      return {
        binding: binding.index,
        resource: { buffer: bound.buffer, offset: bound.offset, size: bound.sizeBytes },
      };
    });
    if (names.size > 0) {
      throw new PupilError('gpu-validation', `${source.name}: has no variable ${[...names].join(', ')}`);
    }
    this.bound = source.bindings.map(({ name, kind }) => {
      const bound = options.bind[name]; // of `rows` the one slice
      const sizeBytes = kind === 'rows' ? 16 : 'shape' in bound! ? bound.sizeBytes : bound!.size;
      return { name, kind, sizeBytes };
    });
    this.rowsPerSlice = options.rowsPerSlice ?? this.rows?.capacity ?? 0;
    this.firstSlot = this.rows?.slicing(this.rowsPerSlice) ?? 0;
    this.bindGroup = gpu.device.createBindGroup({ label: this.label, layout: this.handle.layout, entries });
  }

  /** Sets the pipeline and dispatches once a slice. Zero rows: nothing. Returns the number of dispatches. */
  encode(pass: GPUComputePassEncoder): number {
    pass.setPipeline(this.handle.pipeline);
    if (this.rows === undefined) {
      pass.setBindGroup(0, this.bindGroup);
      pass.dispatchWorkgroups(...this.checked(this.grid(0)));
      return 1;
    }
    const slices = this.rows.slices(this.firstSlot, this.rowsPerSlice);
    for (const [offset, rows] of slices) {
      pass.setBindGroup(0, this.bindGroup, [offset]);
      pass.dispatchWorkgroups(...this.checked(this.grid(rows)));
    }
    return slices.length;
  }

  /** The workgroups of each slice at the present number of rows. */
  grids(): Grid[] {
    if (this.rows === undefined) return [this.grid(0)];
    return this.rows.slices(this.firstSlot, this.rowsPerSlice).map(([, rows]) => this.grid(rows));
  }

  private checked(grid: Grid): Grid {
    const most = this.gpu.limits.maxComputeWorkgroupsPerDimension;
    if (grid.some((n) => n > most)) {
      throw new PupilError('gpu-limit', `${this.label}: ${grid.join('×')} workgroups, at most ${most} a dimension`);
    }
    return grid;
  }
}

/** Fills a tensor with zero bytes. */
export class ClearCommand {
  readonly kind = 'clear';
  constructor(readonly target: Tensor) {}
}

/** Copies bytes between buffers. */
export class CopyCommand {
  readonly kind = 'copy';
  constructor(
    readonly from: Tensor,
    readonly to: Tensor,
  ) {
    if (from.sizeBytes > to.sizeBytes) {
      throw new PupilError(
        'shape',
        `copy: ${from.label} (${from.sizeBytes} bytes) does not fit ${to.label} (${to.sizeBytes})`,
      );
    }
  }
}

/** Marks freshly prepared commands as part of a stage, around whatever stages they have been marked with. Returns them. */
export function inStage(stage: string, commands: Command[]): Command[] {
  for (const command of commands) {
    if (command.kind === 'dispatch') command.stage = [stage, ...command.stage];
  }
  return commands;
}

const watchers = new WeakMap<Gpu, (command: Command) => void>();

/**
 * Tells a listener of every command that recorders play, until `work` is over. What is computed stays as it is: the listener
 * sees commands that would have been played anyway. One at a time on a device.
 */
export async function watchCommands<T>(
  gpu: Gpu,
  listener: (command: Command) => void,
  work: () => Promise<T>,
): Promise<T> {
  if (watchers.has(gpu)) throw new PupilError('gpu-validation', 'watchCommands: this device is being watched already');
  watchers.set(gpu, listener);
  try {
    return await work();
  } finally {
    watchers.delete(gpu);
  }
}

/** `n` workgroups of a one-dimensional kernel as a grid; the kernel computes `x + y * num_workgroups.x`. */
export function linearGrid(gpu: Gpu, workgroups: number): Grid {
  const most = gpu.limits.maxComputeWorkgroupsPerDimension;
  if (workgroups <= most) return [workgroups, 1, 1];
  const y = Math.ceil(workgroups / most);
  return [Math.ceil(workgroups / y), y, 1];
}

/** Time of one kernel inside a profiled submission. */
export interface KernelTiming {
  label: string;
  durationNs: number;
}

/**
 * Plays commands into one encoder. With `profile`, every dispatch gets a pass of its own between two timestamps
 * (slower; only where the adapter offers timestamp-query).
 */
export class Recorder {
  private readonly encoder: GPUCommandEncoder;
  private pass: GPUComputePassEncoder | undefined;
  private readonly profiled: string[] = [];
  private readonly queries: GPUQuerySet | undefined;
  private readonly watcher: ((command: Command) => void) | undefined;
  dispatches = 0;
  passes = 0;

  constructor(
    private readonly gpu: Gpu,
    readonly label: string,
    profile = false,
  ) {
    gpu.throwIfFailed();
    this.encoder = gpu.device.createCommandEncoder({ label });
    if (profile && gpu.features.timestamps) this.queries = gpu.timestampQueries();
    this.watcher = watchers.get(gpu);
  }

  /** Dispatches that may still be timed in a profiled submission. */
  get timeable(): number {
    return this.queries === undefined ? 0 : this.queries.count / 2 - this.profiled.length;
  }

  add(...commands: readonly Command[]): this {
    for (const command of commands) {
      this.watcher?.(command);
      if (command.kind === 'dispatch') {
        this.repeat(command, 1);
      } else if (command.kind === 'clear') {
        this.closePass();
        this.encoder.clearBuffer(command.target.buffer, command.target.offset, command.target.sizeBytes);
      } else {
        this.copy(
          command.from.buffer,
          command.from.offset,
          command.to.buffer,
          command.to.offset,
          command.from.sizeBytes,
        );
      }
    }
    return this;
  }

  /** One dispatch so many times, one behind the other: in a profiled submission between two timestamps. */
  repeat(command: Dispatch, times: number): void {
    if (this.timeable > 0) {
      this.closePass();
      const at = this.profiled.push(command.label) - 1;
      const pass = this.encoder.beginComputePass({
        label: command.label,
        timestampWrites: {
          querySet: this.queries!,
          beginningOfPassWriteIndex: 2 * at,
          endOfPassWriteIndex: 2 * at + 1,
        },
      });
      this.passes++;
      for (let i = 0; i < times; i++) this.dispatches += command.encode(pass);
      pass.end();
      return;
    }
    if (this.pass === undefined) {
      this.pass = this.encoder.beginComputePass({ label: this.label });
      this.passes++;
    }
    for (let i = 0; i < times; i++) this.dispatches += command.encode(this.pass);
  }

  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, sizeBytes: number): void {
    this.closePass();
    this.encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, sizeBytes);
  }

  /** Ends the encoder and hands it to the queue. */
  submit(): void {
    this.closePass();
    this.gpu.device.queue.submit([this.encoder.finish()]);
  }

  /** Submits and resolves with each kernel's time; empty where the adapter has no timestamps. */
  async submitAndTime(): Promise<KernelTiming[]> {
    if (this.queries === undefined) {
      this.submit();
      await this.gpu.idle();
      return [];
    }
    this.closePass();
    const count = this.profiled.length * 2;
    const ticks = await this.gpu.readTimestamps(this.encoder, this.queries, count);
    return this.profiled.map((label, i) => ({ label, durationNs: Number(ticks[2 * i + 1]! - ticks[2 * i]!) }));
  }

  private closePass(): void {
    this.pass?.end();
    this.pass = undefined;
  }
}
