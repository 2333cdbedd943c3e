// adapter.ts: a LoRA adapter on a student: W + (α/R)·B·A on any subset of the linear layers. All its parameters live in one
// flat buffer. PEFT's names and initialisation; reading and writing PEFT's files is formats/peft.ts.
// Source: Hu et al. 2021, arXiv:2106.09685; scaling α/√R with rsLoRA, Kalajdzievski 2023, arXiv:2312.03732.
import { PupilError } from '../base/errors';
import { RandomStream, streamId } from '../base/random';
import type { AdapterFile } from '../formats/peft';
import type { Arena, Tensor } from '../gpu/tensor';
import { FlatParameters } from './flatParameters';
import { LINEAR_NAMES, type LinearName } from '../base/linearNames';
import { linearShape, modulePath, parseLinearNames } from './linearNames';
import type { Student } from './student';

export interface AdapterSettings {
  rank: number;
  alpha: number;
  /** Probability of dropping an input of A while training. */
  dropout: number;
  rsLora: boolean;
  targets: readonly string[];
}

/** The LoRA factors of one linear layer. */
export interface LoraSite {
  readonly path: string;
  readonly a: Tensor; // (R, C)
  readonly b: Tensor; // (O, R)
  readonly rank: number;
  readonly alpha: number;
  /** α/R, or α/√R with rsLoRA. */
  readonly scale: number;
  /** Sets this layer's dropout mask apart from the others'. */
  readonly stream: number;
}

const PREFIX = 'base_model.model.';
/** What the kernels of a branch (kernels/lora.ts) are made for. */
const MAX_RANK = 256;
const isRank = (rank: number): boolean => Number.isInteger(rank) && rank >= 1 && rank <= MAX_RANK;

export class Adapter {
  readonly parameters: FlatParameters;
  private readonly byPath = new Map<string, LoraSite>();

  private constructor(
    readonly student: Student,
    readonly settings: AdapterSettings,
    private readonly arena: Arena,
    modules: readonly { path: string; O: number; C: number; rank: number; alpha: number }[],
  ) {
    const { gpu } = student;
    this.parameters = new FlatParameters(
      gpu,
      arena,
      'adapter',
      modules.flatMap(({ path, O, C, rank }) => [
        { name: `${PREFIX}${path}.lora_A.weight`, shape: [rank, C] },
        { name: `${PREFIX}${path}.lora_B.weight`, shape: [O, rank] },
      ]),
    );
    for (const { path, rank, alpha } of modules) {
      this.byPath.set(path, {
        path,
        a: this.parameters.value(`${PREFIX}${path}.lora_A.weight`),
        b: this.parameters.value(`${PREFIX}${path}.lora_B.weight`),
        rank,
        alpha,
        scale: settings.rsLora ? alpha / Math.sqrt(rank) : alpha / rank,
        stream: streamId(path),
      });
    }
  }

  get elements(): number {
    return this.parameters.elements;
  }

  /** Whether two adapters have the same tensors in the same places, so that one's parameters fit the other. */
  sameLayout(other: Adapter): boolean {
    const mine = [...this.parameters.entries.values()];
    const theirs = [...other.parameters.entries.values()];
    return (
      mine.length === theirs.length &&
      mine.every(
        (e, i) =>
          e.name === theirs[i]!.name && e.offset === theirs[i]!.offset && `${e.shape}` === `${theirs[i]!.shape}`,
      )
    );
  }

  /** The factors at a module path, or undefined where the layer has none. */
  site(path: string): LoraSite | undefined {
    return this.byPath.get(path);
  }

  /** All adapted layers, in the student's order. */
  sites(): Iterable<LoraSite> {
    return this.byPath.values();
  }

  /** Gradients of A and B at a site. */
  gradients(site: LoraSite): { dA: Tensor; dB: Tensor } {
    return {
      dA: this.parameters.gradientOf(`${PREFIX}${site.path}.lora_A.weight`),
      dB: this.parameters.gradientOf(`${PREFIX}${site.path}.lora_B.weight`),
    };
  }

  /**
   * A new adapter as PEFT initialises it: A uniform in ±1/√C (Kaiming with a = √5), B zero, so that the student's output
   * is unchanged bit for bit. Seeded per tensor, so the order of layers does not matter.
   */
  static create(student: Student, settings: AdapterSettings, seed: number): Adapter {
    const { rank, alpha, dropout } = settings;
    if (!isRank(rank)) {
      throw new PupilError('config', `adapter: rank must be a whole number from 1 to ${MAX_RANK}, got ${rank}`);
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new PupilError('config', `adapter: dropout must be in [0, 1), got ${dropout}`);
    }
    const names = parseLinearNames(settings.targets);
    const modules = allModules(student, names).map(({ path, name }) => {
      const [O, C] = linearShape(student.config, name);
      return { path, O, C, rank, alpha };
    });
    const adapter = new Adapter(student, { ...settings, targets: names }, student.gpu.arena('adapter'), modules);
    const flat = new Float32Array(adapter.elements);
    for (const { path, C } of modules) {
      const { offset } = adapter.parameters.entries.get(`${PREFIX}${path}.lora_A.weight`)!;
      const random = new RandomStream(seed, `lora_A ${path}`);
      const bound = 1 / Math.sqrt(C);
      for (let i = 0; i < rank * C; i++) flat[offset + i] = (2 * random.nextUnit() - 1) * bound;
    }
    adapter.parameters.write(flat);
    return adapter;
  }

  /**
   * An adapter from PEFT's files. Throws `checkpoint` where a tensor does not fit the student or its rank the kernels, or
   * where a module has none although the settings list it: PEFT would go on with B = 0 there, and the adapter would do half of what it was trained to.
   */
  static fromPeft(student: Student, file: AdapterFile): Adapter {
    const label = file.name ?? 'adapter';
    const known = new Map(allModules(student, LINEAR_NAMES).map((m) => [m.path, m.name]));
    const found = new Set<LinearName>();
    for (const path of file.tensors.keys()) {
      const name = known.get(path);
      if (name === undefined) {
        throw new PupilError(
          'checkpoint',
          `${label}: it adapts ${path}, which this student does not have`,
          'The adapter was made for another base model.',
        );
      }
      found.add(name);
    }
    // The student's order, not the file's: the flat layout is the same for every source of the same adapter.
    const modules = [...known].flatMap(([path, name]) => {
      const tensors = file.tensors.get(path);
      if (tensors === undefined) {
        if (file.adapts?.(path) !== true) return [];
        throw new PupilError(
          'checkpoint',
          `${label}: expected lora_A and lora_B of ${path}, which target_modules lists, there are none`,
          'The file was cut or edited: save the adapter again.',
        );
      }
      const [O, C] = linearShape(student.config, name);
      const rank = tensors.a.shape[0] ?? 0;
      if (tensors.a.shape[1] !== C || tensors.b.shape[0] !== O || tensors.b.shape[1] !== rank) {
        throw new PupilError(
          'checkpoint',
          `${label}: ${path} has lora_A [${tensors.a.shape.join(', ')}] and lora_B [${tensors.b.shape.join(', ')}], ` +
            `the student needs [r, ${C}] and [${O}, r]`,
          'The adapter was made for another base model.',
        );
      }
      if (!isRank(rank)) {
        throw new PupilError(
          'checkpoint',
          `${label}: ${path} has rank ${rank}, expected 1 to ${MAX_RANK}, for which the kernels are made`,
          'Merge it into its base model (pupil export --format merged) and load that, or train one of a lower rank.',
        );
      }
      return [{ path, O, C, rank, alpha: tensors.alpha ?? file.alpha }];
    });
    const settings: AdapterSettings = {
      rank: file.r,
      alpha: file.alpha,
      dropout: file.dropout,
      rsLora: file.rsLora,
      targets: LINEAR_NAMES.filter((name) => found.has(name)),
    };
    const adapter = new Adapter(student, settings, student.gpu.arena('adapter'), modules);
    const flat = new Float32Array(adapter.elements);
    for (const { path } of modules) {
      const tensors = file.tensors.get(path)!;
      flat.set(tensors.a.data, adapter.parameters.entries.get(`${PREFIX}${path}.lora_A.weight`)!.offset);
      flat.set(tensors.b.data, adapter.parameters.entries.get(`${PREFIX}${path}.lora_B.weight`)!.offset);
    }
    adapter.parameters.write(flat);
    return adapter;
  }

  /** What PEFT's files hold. */
  async toPeft(baseModel: string): Promise<AdapterFile> {
    const tensors = this.parameters.split(await this.parameters.read());
    const out: AdapterFile['tensors'] = new Map();
    for (const { path, alpha } of this.byPath.values()) {
      const a = tensors.get(`${PREFIX}${path}.lora_A.weight`)!;
      const b = tensors.get(`${PREFIX}${path}.lora_B.weight`)!;
      out.set(path, {
        a: { shape: [a.shape[0]!, a.shape[1]!], data: a.data },
        b: { shape: [b.shape[0]!, b.shape[1]!], data: b.data },
        ...(alpha === this.settings.alpha ? {} : { alpha }),
      });
    }
    return {
      r: this.settings.rank,
      alpha: this.settings.alpha,
      dropout: this.settings.dropout,
      rsLora: this.settings.rsLora,
      targetModules: this.targetModules(),
      baseModel,
      tensors: out,
    };
  }

  /** Layers by name where all of that name are adapted, else by path. */
  private targetModules(): string[] {
    return LINEAR_NAMES.flatMap((name) => {
      const paths = allModules(this.student, [name]).map(({ path }) => path);
      const adapted = paths.filter((path) => this.byPath.has(path));
      return adapted.length === paths.length ? [name] : adapted;
    });
  }

  readParameters(): Promise<Float32Array> {
    return this.parameters.read();
  }

  writeParameters(flat: Float32Array): void {
    this.parameters.write(flat);
  }

  destroy(): void {
    this.arena.destroy();
  }
}

function allModules(student: Student, names: readonly LinearName[]): { path: string; name: LinearName }[] {
  return Array.from({ length: student.config.layers }, (_, layer) =>
    names.map((name) => ({ path: modulePath(layer, name), name })),
  ).flat();
}
