// device.svelte.ts: what this browser offers: adapter, tier, storage, and the reason where there is no GPU. It asks when
// something first needs a device, and again when told to: after a run, which may have filled the storage or lost the device.
import type { DoctorReport, SessionApi } from '../../session/protocol';
import { toNotice, type Notice } from './notice';

export type DeviceStatus = 'asleep' | 'starting' | 'ready' | 'unavailable';

export class DeviceState {
  status = $state<DeviceStatus>('asleep');
  report = $state.raw<DoctorReport>();
  notice = $state.raw<Notice>();

  constructor(private readonly session: SessionApi) {}

  /** `amd rdna-3 …`, or a word on why there is nothing to name. */
  readonly name = $derived.by(() => {
    if (this.status === 'asleep') return 'GPU not used yet';
    if (this.status === 'starting') return 'looking for a GPU …';
    const adapter = this.report?.adapter;
    if (adapter === undefined) return 'no WebGPU';
    const words = ['vendor', 'architecture', 'device', 'description'].map((key) => String(adapter[key] ?? ''));
    return [...new Set(words.filter((word) => word !== ''))].join(' · ') || 'unnamed adapter';
  });

  /** The device went away with the worker that held it. */
  sleep(): void {
    this.status = 'asleep';
    this.notice = undefined;
  }

  async open(): Promise<void> {
    this.status = 'starting';
    this.notice = undefined;
    try {
      await this.session.open({});
      this.report = await this.session.doctor();
      this.status = 'ready';
    } catch (error) {
      this.notice = toNotice(error);
      // A worker that went away says nothing of the GPU: the next one is asked again.
      this.status = this.notice.code === 'browser' ? 'asleep' : 'unavailable';
    }
  }

  /** Looks again; what was known stays where that fails. */
  async refresh(): Promise<void> {
    if (this.status !== 'ready') return;
    try {
      this.report = await this.session.doctor();
    } catch {
      // The next action says what is wrong.
    }
  }
}
