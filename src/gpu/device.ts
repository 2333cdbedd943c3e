// device.ts: acquires a WebGPU device in a page, a worker or Node, names its tier, keeps the account of bytes, and turns
// lost devices, exhausted memory and validation failures into typed errors. It knows no machine learning.
import { PupilError } from '../base/errors';
import { PipelineCache } from './pipelines';
import { Arena, ByteAccount, tensorBytes, type Tensor } from './tensor';

/**
 * `f32` works in every browser. `f16` stores frozen dense weights as halves and needs `shader-f16`. `matrix` (subgroup
 * matrices) is detected and reported; its kernels are not part of this version.
 */
export type Tier = 'f32' | 'f16';

export interface AdapterReport {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** True for SwiftShader, llvmpipe and the like: correct, never fast. */
  software: boolean;
  features: string[];
  tiers: (Tier | 'matrix')[];
  subgroupMinSize: number;
  subgroupMaxSize: number;
  limits: Record<string, number>;
}

export interface AcquireOptions {
  /** `auto`: f32, until whoever knows more says otherwise ({@link Gpu.useTier}). */
  tier?: Tier | 'auto';
  /** Refuse a software adapter. */
  requireHardware?: boolean;
  /** Refuse another vendor, e.g. 'nvidia'. */
  expectVendor?: string;
  /**
   * Lower limits than the adapter's, for tests of splitting. A device never offers less than WebGPU's defaults: below them
   * only the engine holds itself to these.
   */
  lowerLimits?: Record<string, number>;
}

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxUniformBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupsPerDimension',
  'minStorageBufferOffsetAlignment',
  'minUniformBufferOffsetAlignment',
] as const;
type LimitName = (typeof LIMITS)[number];

const NO_WEBGPU_HINT =
  'Use a current Chrome or Edge. On Linux start it with --enable-unsafe-webgpu (and --enable-features=Vulkan for a GPU); ' +
  'a page must be served from https or localhost.';

/** What to do where WebGPU finds no adapter, in a browser or in Node. */
export const NO_ADAPTER_HINT =
  'Check the graphics driver (vulkaninfo on Linux; VK_ICD_FILENAMES, where set, must name files that are there). ' +
  'In a browser see about:gpu, and on Linux start it with --enable-unsafe-webgpu; `pupil doctor` says more.';

/** The `GPU` object of this page or worker. Throws `gpu-unavailable` where there is none. */
export function browserGpu(): GPU {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (gpu === undefined) {
    throw new PupilError('gpu-unavailable', 'WebGPU: this browser does not offer navigator.gpu', NO_WEBGPU_HINT);
  }
  return gpu;
}

export function isSoftware(info: GPUAdapterInfo): boolean {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`.toLowerCase();
  return info.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|software|microsoft basic/.test(text);
}

/** What the adapter is and offers. */
export function describeAdapter(adapter: GPUAdapter): AdapterReport {
  const info = adapter.info;
  const has = (name: string): boolean => adapter.features.has(name as GPUFeatureName);
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    description: info.description,
    software: isSoftware(info),
    features: [...adapter.features].sort(),
    tiers: [
      'f32',
      ...(has('shader-f16') ? (['f16'] as const) : []),
      ...(has('chromium-experimental-subgroup-matrix') ? (['matrix'] as const) : []),
    ],
    subgroupMinSize: info.subgroupMinSize ?? 0,
    subgroupMaxSize: info.subgroupMaxSize ?? 0,
    limits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
  };
}

/** Throws `gpu-feature-missing` where the adapter does not offer the tier. */
function expectTier(report: AdapterReport, tier: Tier): void {
  if (report.tiers.includes(tier)) return;
  throw new PupilError(
    'gpu-feature-missing',
    `WebGPU: tier f16 needs the feature shader-f16, which "${nameOf(report)}" does not offer`,
    'Use tier f32 (or auto). Chrome on NVIDIA/Linux needs --enable-dawn-features=vulkan_enable_f16_on_nvidia.',
  );
}

function nameOf(report: AdapterReport): string {
  return `${report.vendor} ${report.description || report.device}`.trim();
}

export interface GpuFeatures {
  f16: boolean;
  timestamps: boolean;
  /** Subgroup operations with a size that is the same for every pipeline (min = max), or 0 where unusable. */
  subgroupSize: number;
}

/** How long after an error the browser may take to say that the device is lost: on a busy machine 500 ms were too few. */
const LOST_KNOWN_MS = 3000;

/** A device with everything that the floors above need of it. */
export class Gpu {
  readonly pipelines: PipelineCache;
  readonly account = new ByteAccount();
  readonly limits: Record<LimitName, number>;
  private failure: PupilError | undefined;
  /** What the device has yet to say of buffers that it was asked for. */
  private readonly scopes = new Set<Promise<void>>();
  private querySet: GPUQuerySet | undefined;
  private readonly uniforms = new Map<string, GPUBuffer>();
  private uniformArena: Arena | undefined;
  private closed = false;

  private constructor(
    readonly device: GPUDevice,
    readonly adapter: AdapterReport,
    private currentTier: Tier,
    readonly features: GpuFeatures,
    lowerLimits: Record<string, number> = {},
  ) {
    this.limits = Object.fromEntries(
      LIMITS.map((name) => [name, Math.min(device.limits[name], lowerLimits[name] ?? Infinity)]),
    ) as Record<LimitName, number>;
    this.pipelines = new PipelineCache(this);
    void device.lost.then((info) => {
      if (this.closed) return;
      this.failure = new PupilError(
        'gpu-device-lost',
        `GPU device lost (${info.reason}): ${info.message}`,
        'Resume from the last checkpoint; if it happens again use a smaller batch or length.',
      );
    });
    device.onuncapturederror = (event) => {
      const failure = asGpuError(event.error, 'GPU');
      // A buffer that was refused is an invalid one to whatever uses it, and that may be said first: the refusal is the cause.
      void Promise.all(this.scopes).then(() => (this.failure ??= failure));
    };
  }

  /**
   * A device with the adapter's real limits and every optional feature that Pupil uses.
   * Throws `gpu-unavailable`, `gpu-software-only`, `gpu-feature-missing`.
   */
  static async acquire(provider: GPU, options: AcquireOptions = {}): Promise<Gpu> {
    const adapter = await provider.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter === null) {
      throw new PupilError('gpu-unavailable', 'WebGPU: no adapter was found', NO_ADAPTER_HINT);
    }
    const report = describeAdapter(adapter);
    const name = nameOf(report);
    if (options.requireHardware === true && report.software) {
      throw new PupilError(
        'gpu-software-only',
        `WebGPU: a hardware GPU was asked for, only the software adapter "${name}" was found`,
        'Check the driver (vulkaninfo) and, in Chrome, its flags; `pupil doctor` lists what is missing.',
      );
    }
    if (options.expectVendor !== undefined && report.vendor.toLowerCase() !== options.expectVendor.toLowerCase()) {
      throw new PupilError(
        'gpu-software-only',
        `WebGPU: expected an adapter of vendor "${options.expectVendor}", found "${name}"`,
        'Another adapter stood in silently; `pupil doctor` lists the browser flags that were tried.',
      );
    }
    const tier: Tier = options.tier === undefined || options.tier === 'auto' ? 'f32' : options.tier;
    expectTier(report, tier);
    const optional = ['shader-f16', 'timestamp-query', 'subgroups', 'subgroup-size-control'].filter((f) =>
      adapter.features.has(f as GPUFeatureName),
    ) as GPUFeatureName[];
    const limits: Record<string, number> = {};
    for (const limit of LIMITS) {
      if (limit.startsWith('min')) continue;
      limits[limit] = Math.min(adapter.limits[limit], options.lowerLimits?.[limit] ?? Infinity);
    }
    const device = await adapter.requestDevice({ label: 'pupil', requiredFeatures: optional, requiredLimits: limits });
    const uniform = report.subgroupMinSize === report.subgroupMaxSize ? report.subgroupMinSize : 0;
    const features = {
      f16: device.features.has('shader-f16'),
      timestamps: device.features.has('timestamp-query'),
      subgroupSize: device.features.has('subgroups') ? uniform : 0,
    };
    return new Gpu(device, report, tier, features, options.lowerLimits);
  }

  get tier(): Tier {
    return this.currentTier;
  }

  /** Another tier for what is loaded from now on; the device is the same. Throws `gpu-feature-missing`. */
  useTier(tier: Tier): void {
    expectTier(this.adapter, tier);
    this.currentTier = tier;
  }

  arena(label: string): Arena {
    return new Arena(this, label);
  }

  /**
   * A uniform buffer that holds these words as long as the device lives; the same words give the same buffer. For sizes and
   * factors that a kernel takes as data: asked for at set-up, never in a step.
   */
  uniform(words: Uint32Array<ArrayBuffer>): GPUBuffer {
    const key = words.join(' ');
    let buffer = this.uniforms.get(key);
    if (buffer === undefined) {
      this.uniformArena ??= this.arena('uniforms');
      const size = Math.ceil(words.byteLength / 16) * 16;
      buffer = this.uniformArena.buffer(key, size, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
      this.device.queue.writeBuffer(buffer, 0, words);
      this.uniforms.set(key, buffer);
    }
    return buffer;
  }

  /** Used by arenas only. Out-of-memory surfaces at the next {@link Gpu.settled}. */
  createAccountedBuffer(label: string, size: number, usage: GPUBufferUsageFlags, arena: string): GPUBuffer {
    this.throwIfFailed();
    this.device.pushErrorScope('out-of-memory');
    const buffer = this.device.createBuffer({ label, size, usage });
    const scope = this.device
      .popErrorScope()
      .then(
        (error) => {
          if (error !== null) {
            this.failure ??= new PupilError(
              'gpu-out-of-memory',
              `${label}: the GPU refused ${size} bytes (${this.account.current} in use)`,
              'Use a smaller batch or length, NF4, or close other users of the GPU.',
            );
          }
        },
        () => undefined, // the device is lost; device.lost reports it
      )
      .finally(() => this.scopes.delete(scope));
    this.scopes.add(scope);
    this.account.take(arena, size);
    return buffer;
  }

  /** Resolves when all allocations and compilations so far have succeeded; throws the typed error otherwise. */
  async settled(): Promise<void> {
    await this.guard(this.pipelines.ready());
  }

  /** Throws what went wrong on the device since the last call, if anything. */
  throwIfFailed(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Awaits a promise of the device, preferring the typed cause when the device failed. */
  async guard<T>(promise: Promise<T>): Promise<T> {
    try {
      const value = await promise;
      if (this.scopes.size > 0) await Promise.all(this.scopes);
      this.throwIfFailed();
      return value;
    } catch (error) {
      throw await this.causeOf(error);
    }
  }

  /**
   * What an error on this device came from: of a lost device the typed failure, which may be known a moment later than the
   * error of a buffer that can no longer be mapped or of a kernel that no longer compiles. Other errors as they are.
   */
  async causeOf(error: unknown): Promise<unknown> {
    // A kernel that the device refuses is `validation`; `internal`: the device may be gone before it has said so.
    const isInternal = ((error as Error).cause as GPUPipelineError | undefined)?.reason === 'internal';
    if (this.closed || (error instanceof PupilError && !isInternal)) return error;
    const moment = new Promise((resolve) => setTimeout(resolve, LOST_KNOWN_MS));
    await Promise.race([this.device.lost, moment]);
    await Promise.resolve(); // the listener of device.lost above has run then
    return this.failure ?? error;
  }

  /** Resolves when all submitted work is done. */
  async idle(): Promise<void> {
    await this.guard(this.device.queue.onSubmittedWorkDone());
  }

  /** Writes a tensor's bytes (or its first bytes), in pieces of at most 16 MiB. */
  write(tensor: Tensor, data: ArrayBufferView): void {
    if (data.byteLength > tensor.sizeBytes) {
      throw new PupilError('shape', `write ${tensor.label}: ${data.byteLength} bytes do not fit ${tensor.sizeBytes}`);
    }
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    const whole = bytes.byteLength - (bytes.byteLength % 4);
    const step = 16 * 2 ** 20;
    for (let at = 0; at < whole; at += step) {
      const size = Math.min(step, whole - at);
      this.device.queue.writeBuffer(tensor.buffer, tensor.offset + at, bytes, at, size);
    }
    if (whole < bytes.byteLength) {
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      this.device.queue.writeBuffer(tensor.buffer, tensor.offset + whole, tail);
    }
  }

  /** A tensor's bytes, through staging of its own that is freed at once. For set-up, checks and exports, not for steps. */
  async read(tensor: Tensor): Promise<ArrayBuffer> {
    const arena = this.arena('readback');
    try {
      const size = Math.max(4, tensorBytes(tensor.shape, tensor.dtype));
      const staging = arena.buffer(tensor.label, size, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
      const encoder = this.device.createCommandEncoder({ label: `read ${tensor.label}` });
      encoder.copyBufferToBuffer(tensor.buffer, tensor.offset, staging, 0, size);
      this.device.queue.submit([encoder.finish()]);
      await this.guard(staging.mapAsync(GPUMapMode.READ));
      return staging.getMappedRange().slice(0);
    } finally {
      arena.destroy();
    }
  }

  async readF32(tensor: Tensor): Promise<Float32Array> {
    return new Float32Array(await this.read(tensor));
  }

  async readU32(tensor: Tensor): Promise<Uint32Array> {
    return new Uint32Array(await this.read(tensor));
  }

  /** 4096 timestamp slots, made on first use. */
  timestampQueries(): GPUQuerySet {
    this.querySet ??= this.device.createQuerySet({ label: 'profile', type: 'timestamp', count: 4096 });
    return this.querySet;
  }

  /** Resolves the queries behind the encoder's work, submits, and reads them (nanoseconds). */
  async readTimestamps(encoder: GPUCommandEncoder, queries: GPUQuerySet, count: number): Promise<BigUint64Array> {
    const arena = this.arena('profile');
    try {
      const resolved = arena.buffer(
        'resolve',
        Math.max(8, count * 8),
        GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      );
      const staging = arena.buffer(
        'staging',
        Math.max(8, count * 8),
        GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      );
      encoder.resolveQuerySet(queries, 0, count, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, count * 8);
      this.device.queue.submit([encoder.finish()]);
      await this.guard(staging.mapAsync(GPUMapMode.READ));
      return new BigUint64Array(staging.getMappedRange().slice(0));
    } finally {
      arena.destroy();
    }
  }

  /** Gives the device back; buffers are gone with it. */
  destroy(): void {
    this.closed = true;
    this.device.destroy();
  }
}

function asGpuError(error: GPUError, what: string): PupilError {
  if (error.constructor.name === 'GPUOutOfMemoryError') {
    return new PupilError('gpu-out-of-memory', `${what}: ${error.message}`, 'Use a smaller batch or length.');
  }
  return new PupilError(
    'gpu-validation',
    `${what}: ${error.message}`,
    'This is a bug: please report it with the self-check.',
  );
}
