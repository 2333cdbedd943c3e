// devicePlace.ts: the session's one GPU device: opened at the first use, replaced when it was lost, with the kernel variants
// of its adapter and the tier that each piece of work wants. What is done on it is session.ts.
import { Gpu, type AcquireOptions } from '../gpu/device';
import { setDispatchBound } from '../kernels/dispatchBound';
import { setLinearChoice } from '../kernels/linearChoice';
import { openFileRoot } from '../sources/fileRoot';
import { FilesVariantStore, type VariantStore } from '../storage/variantStore';
import { PUPIL_VERSION, userAgent } from './load';
import type { DeviceOptions } from './protocol';
import { findVariants, variantKey, type FoundVariants, type measureVariants } from './variants';

/** A GPU, or how to get one; asked for once, at the first use. */
export type GpuProvider = GPU | (() => GPU | Promise<GPU>);

export class DevicePlace {
  private options: DeviceOptions = {};
  private gpu: Gpu | undefined;
  /** What this adapter computes with, once a device was open. */
  private variants: FoundVariants | undefined;
  private variantsOf = '';

  constructor(
    private readonly provider: GpuProvider,
    /** Where measured variants are remembered, unless the options name a place. */
    private readonly variantStore: VariantStore,
    private readonly measure: typeof measureVariants,
  ) {}

  /** The open device, if any. */
  get current(): Gpu | undefined {
    return this.gpu;
  }

  /** What was found out about the adapter's variants, if a device was ever open. */
  get found(): FoundVariants | undefined {
    return this.variants;
  }

  /** The tier that was asked for on purpose. */
  get tier(): DeviceOptions['tier'] {
    return this.options.tier;
  }

  /** Acquires a device; the former one is given back. Throws `gpu-…`. */
  async open(options: DeviceOptions): Promise<void> {
    this.options = options;
    this.close();
    this.variants = undefined;
    await this.device('auto');
  }

  /** Gives the device back. */
  close(): void {
    this.gpu?.destroy();
    this.gpu = undefined;
  }

  webGpu(): Promise<GPU> {
    const { provider } = this;
    return Promise.resolve(typeof provider === 'function' ? provider() : provider);
  }

  /**
   * The device with the variants of its adapter and the tier that the work wants, unless it was opened with a tier on
   * purpose. What the work before it set (a resumed run's variants, say) is forgotten.
   */
  async device(wanted: NonNullable<AcquireOptions['tier']> = 'f32'): Promise<Gpu> {
    const gpu = await this.openDevice();
    const { choice, autoTier, multiplyAddsPerDispatch } = await this.variantsFor(gpu);
    const said = this.options.tier ?? 'auto';
    const tier = said === 'auto' ? wanted : said;
    gpu.useTier(tier === 'auto' ? autoTier.tier : tier);
    setLinearChoice(gpu, choice);
    setDispatchBound(gpu, multiplyAddsPerDispatch);
    return gpu;
  }

  /** The open device; a new one where none is open or the last was lost. */
  private async openDevice(): Promise<Gpu> {
    if (this.gpu !== undefined) {
      try {
        this.gpu.throwIfFailed();
        return this.gpu;
      } catch {
        this.close();
      }
    }
    const { tier, requireHardware, expectVendor } = this.options;
    this.gpu = await Gpu.acquire(await this.webGpu(), {
      ...(tier === undefined ? {} : { tier }),
      ...(requireHardware === undefined ? {} : { requireHardware }),
      ...(expectVendor === undefined ? {} : { expectVendor }),
    });
    return this.gpu;
  }

  /** What the open device's adapter computes with; found once, unless a lost device came back as another adapter. */
  private async variantsFor(gpu: Gpu): Promise<FoundVariants> {
    const { variantFiles, measure = false } = this.options;
    const key = variantKey(gpu, userAgent(), PUPIL_VERSION);
    if (this.variants !== undefined && this.variantsOf === key) return this.variants;
    this.variants = await findVariants({
      gpu,
      key,
      store: variantFiles === undefined ? this.variantStore : new FilesVariantStore(openFileRoot(variantFiles)),
      measure: () => this.measure(async () => Gpu.acquire(await this.webGpu())),
      anew: measure,
    });
    this.variantsOf = key;
    return this.variants;
  }
}
