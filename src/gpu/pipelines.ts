// pipelines.ts: WGSL text → compute pipelines. Bindings are read off the shader, so that wrappers bind by name and a
// misspelt or missing tensor is an error here instead of a silent zero on the GPU. Compilation is concurrent.
import { PupilError } from '../base/errors';

export type BindingKind = 'uniform' | 'rows' | 'read' | 'read-write';

export interface Binding {
  name: string;
  index: number;
  kind: BindingKind;
}

/** One kernel's WGSL and what it binds. Entry point = name = file stem. */
export interface KernelSource {
  readonly name: string;
  readonly code: string;
  readonly bindings: readonly Binding[];
}

export type Constants = Record<string, number | boolean>;

const DECLARATION =
  /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(uniform|storage)\s*(?:,\s*(read_write|read)\s*)?>\s*(\w+)\s*:/g;

/**
 * A kernel from its WGSL file. Preludes (whole files of shaders/common) are put in front. All bindings are in group 0.
 * A uniform named `rows` is the slice of rows a dispatch works on (see rows.ts) and gets a dynamic offset.
 */
export function kernelSource(name: string, wgsl: string, ...preludes: string[]): KernelSource {
  const code = [...preludes, wgsl].join('\n');
  const bindings: Binding[] = [];
  for (const match of code.replace(/\/\/[^\n]*/g, '').matchAll(DECLARATION)) {
    const [, index, space, access, variable] = match;
    const kind: BindingKind =
      space === 'uniform'
        ? variable === 'rows'
          ? 'rows'
          : 'uniform'
        : access === 'read_write'
          ? 'read-write'
          : 'read';
    bindings.push({ name: variable!, index: Number(index), kind });
  }
  if (new Set(bindings.map((b) => b.index)).size !== bindings.length) {
    throw new PupilError('gpu-validation', `${name}: two variables share a binding number`);
  }
  if (!new RegExp(`fn\\s+${name}\\s*\\(`).test(code)) {
    throw new PupilError('gpu-validation', `${name}: the entry point must be named as the file`);
  }
  return { name, code, bindings };
}

const BUFFER_TYPE: Record<BindingKind, GPUBufferBindingType> = {
  uniform: 'uniform',
  rows: 'uniform',
  read: 'read-only-storage',
  'read-write': 'storage',
};

/** A pipeline that may still be compiling. `await gpu.pipelines.ready()` before use. */
export class PipelineHandle {
  compiled: GPUComputePipeline | undefined;
  constructor(
    readonly source: KernelSource,
    readonly constants: Constants,
    readonly layout: GPUBindGroupLayout,
    readonly promise: Promise<void>,
  ) {}

  get pipeline(): GPUComputePipeline {
    if (this.compiled === undefined) {
      throw new PupilError('gpu-validation', `${this.source.name}: used before gpu.pipelines.ready() was awaited`);
    }
    return this.compiled;
  }
}

/** What compiling needs of the device. */
export interface PipelineHost {
  readonly device: GPUDevice;
  readonly limits: { readonly maxStorageBuffersPerShaderStage: number };
}

/** Compiles each (kernel, constants) once; all requests compile side by side. */
export class PipelineCache {
  private readonly handles = new Map<string, PipelineHandle>();
  private readonly layouts = new Map<KernelSource, GPUBindGroupLayout>();
  private readonly modules = new Map<string, GPUShaderModule>();
  private readonly ids = new Map<KernelSource, number>();

  constructor(private readonly gpu: PipelineHost) {}

  get size(): number {
    return this.handles.size;
  }

  /** Sources of one name differ by their preludes, so the name alone does not tell pipelines apart. */
  private idOf(source: KernelSource): number {
    let id = this.ids.get(source);
    if (id === undefined) {
      id = this.ids.size;
      this.ids.set(source, id);
    }
    return id;
  }

  /** Starts compiling unless already known. Constants are WGSL `override`s. Same arguments, same handle. */
  request(source: KernelSource, constants: Constants = {}): PipelineHandle {
    const key = `${source.name}|${this.idOf(source)}|${Object.keys(constants)
      .sort()
      .map((k) => `${k}=${Number(constants[k])}`)
      .join(',')}`;
    const known = this.handles.get(key);
    if (known !== undefined) return known;

    const storage = source.bindings.filter((b) => b.kind === 'read' || b.kind === 'read-write').length;
    if (storage > this.gpu.limits.maxStorageBuffersPerShaderStage) {
      throw new PupilError(
        'gpu-limit',
        `${source.name}: binds ${storage} storage buffers, this adapter allows ${this.gpu.limits.maxStorageBuffersPerShaderStage}`,
      );
    }
    let layout = this.layouts.get(source);
    if (layout === undefined) {
      layout = this.gpu.device.createBindGroupLayout({
        label: source.name,
        entries: source.bindings.map((b) => ({
          binding: b.index,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: BUFFER_TYPE[b.kind], hasDynamicOffset: b.kind === 'rows' },
        })),
      });
      this.layouts.set(source, layout);
    }
    let module = this.modules.get(source.code);
    if (module === undefined) {
      module = this.gpu.device.createShaderModule({ label: source.name, code: source.code });
      this.modules.set(source.code, module);
    }
    const numbers = Object.fromEntries(Object.entries(constants).map(([k, v]) => [k, Number(v)]));
    const promise = this.gpu.device
      .createComputePipelineAsync({
        label: source.name,
        layout: this.gpu.device.createPipelineLayout({ label: source.name, bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: source.name, constants: numbers },
      })
      .then(
        (pipeline) => {
          handle.compiled = pipeline;
        },
        (error: unknown) => {
          throw new PupilError(
            'gpu-validation',
            `${source.name}: this adapter does not compile it with ${JSON.stringify(constants)}: ${String(error)}`,
            'Run the self-check and report its output.',
            { cause: error },
          );
        },
      );
    promise.catch(() => undefined); // reported by ready(); never an unhandled rejection
    const handle = new PipelineHandle(source, constants, layout, promise);
    this.handles.set(key, handle);
    return handle;
  }

  /** Resolves when everything requested so far has compiled; rejects with the first failure. */
  async ready(): Promise<void> {
    await Promise.all([...this.handles.values()].map((h) => h.promise));
  }
}
