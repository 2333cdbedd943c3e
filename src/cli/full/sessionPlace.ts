// sessionPlace.ts: the host and the open device that a run, or one run after the other, is made on: opened when one is needed,
// closed for good when it failed, and opened again on the same adapter or not at all. Why it is closed is supervise.ts.
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PupilError } from '../../base/errors';
import type { SessionApi } from '../../session/protocol';
import { giveHub, hostOptions, openOptions, type VerbContext } from '../context';
import type { Host, HostOptions } from '../host';
import type { CommonFlags } from '../options';
import type { Output } from '../output';

/** What tells one adapter from another; its description may be empty. */
const IDENTITY = ['vendor', 'architecture', 'device', 'description'] as const;

export interface OpenPlace {
  session: SessionApi;
  host: Host;
}

export class SessionPlace {
  private current: OpenPlace | undefined;
  /** An opening that nobody may be waiting for any more: a run that was stopped meanwhile does not wait for its end. */
  private opening: Promise<OpenPlace> | undefined;
  private found: Record<string, unknown> | undefined;
  /** Counts what was closed: an opening that was given up meanwhile must not come back. */
  private closings = 0;

  constructor(
    private readonly context: Pick<VerbContext, 'openHost' | 'machine'>,
    private readonly flags: CommonFlags,
    private readonly output: Output,
    /** The folder that keeps the browser's profile. */
    private readonly keepIn: string,
    /** What else the host is opened with. */
    private readonly more: Partial<HostOptions> = {},
  ) {}

  /** The adapter of the first opening, in words; undefined before it. */
  get adapter(): string | undefined {
    if (this.found === undefined) return undefined;
    const words = IDENTITY.map((key) => this.found?.[key]).filter((text) => typeof text === 'string' && text !== '');
    return [...new Set(words)].join(' ');
  }

  /** Whether a device has been open here. */
  get wasOpen(): boolean {
    return this.found !== undefined;
  }

  /**
   * The open session; opens one where none is.
   * @throws PupilError `gpu-software-only` where another adapter than the first one's answers; whatever opening throws
   */
  async open(): Promise<OpenPlace> {
    if (this.opening !== undefined) return this.opening; // a second browser would end the first as one left behind
    if (this.current !== undefined) return this.current;
    const opening = (this.opening = this.openNew());
    try {
      return await opening;
    } finally {
      if (this.opening === opening) this.opening = undefined;
    }
  }

  private async openNew(): Promise<OpenPlace> {
    const { closings } = this;
    const host = await this.context.openHost({ ...hostOptions(this.flags, this.output, this.keepIn), ...this.more });
    if (closings !== this.closings) {
      await host.close();
      throw new PupilError('cancelled', 'opening: it was given up meanwhile');
    }
    const place = (this.current = { session: host.session, host });
    try {
      await giveHub(host, this.output);
      await host.session.open(openOptions(this.context, this.flags, host));
      this.expectSameAdapter((await host.session.doctor()).adapter);
    } catch (error) {
      if (this.current === place) await this.close(); // the next run must not take it for open
      throw error;
    }
    return place;
  }

  /** Ends the host and all that was started for it. Nothing happens where none is open. */
  async close(): Promise<void> {
    const { current } = this;
    this.closings++;
    this.opening = undefined;
    this.current = undefined;
    await current?.host.close();
  }

  /** Lets the next browser start on a new profile; the old one is kept beside it, in place of an earlier one. */
  startAfresh(): void {
    const profile = join(this.keepIn, '.profile');
    if (!existsSync(profile)) return;
    this.forgetSetAside();
    renameSync(profile, this.setAside);
  }

  /** What {@link startAfresh} kept. */
  forgetSetAside(): void {
    rmSync(this.setAside, { recursive: true, force: true });
  }

  private get setAside(): string {
    return join(this.keepIn, '.profile-set-aside');
  }

  /** A fall-back to a software adapter, or to another card, is silent: it must not go on with this run's numbers. */
  private expectSameAdapter(now: Record<string, unknown>): void {
    const first = (this.found ??= now);
    const changed = IDENTITY.filter((key) => first[key] !== now[key]);
    if (changed.length === 0) return;
    const told = changed.map((key) => `${key} was "${String(first[key])}", is "${String(now[key])}"`);
    throw new PupilError(
      'gpu-software-only',
      `relaunch: expected the adapter that the run was started on, another one answered: ${told.join('; ')}`,
      'Its numbers would no longer be those of an undisturbed run. Check the driver (`pupil doctor`), then --resume.',
    );
  }
}
