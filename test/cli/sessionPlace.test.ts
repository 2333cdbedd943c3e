// sessionPlace.test.ts: the place where one run after the other is made: opened once whoever asks meanwhile, and never taken
// for open after it failed. The host is made up; what a supervised run does with a place is supervise.test.ts.
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { SessionPlace } from '../../src/cli/full/sessionPlace';
import type { Host } from '../../src/cli/host';
import { Output } from '../../src/cli/output';
import type { CommonFlags } from '../../src/cli/options';
import type { SessionApi } from '../../src/session/protocol';
import { Kept } from './fakeSession';
import { madeUpMachine } from './madeUpMachine';

/** A place whose hosts open when they are let, one adapter after the other. */
function lab(adapters: readonly string[] = []) {
  const hosts: { open: () => void; closed: boolean }[] = [];
  const openHost = (): Promise<Host> => {
    const one = { open: (): void => undefined, closed: false };
    const description = adapters[hosts.length] ?? 'the card';
    hosts.push(one);
    const session: Partial<SessionApi> = {
      open: () => Promise.resolve(),
      doctor: () => Promise.resolve({ adapter: { description } } as never),
    };
    const root = (directory: string) => ({ kind: 'disk', directory }) as const;
    const host: Host = {
      session: session as SessionApi,
      ...{ about: {}, reads: () => root('/'), writes: () => root('/'), folder: root, own: root },
      close: () => Promise.resolve(void (one.closed = true)),
    };
    return new Promise((resolve) => (one.open = () => resolve(host)));
  };
  const output = new Output(true, { out: new Kept(), err: new Kept() });
  const flags = { host: 'chrome', gpu: 'auto' } as CommonFlags;
  return { hosts, place: new SessionPlace({ openHost, machine: madeUpMachine() }, flags, output, '/jobs/.slot-1') };
}

describe('a session place', () => {
  it('opens one browser where a second run asks before the first one’s has started: both get it', async () => {
    const { hosts, place } = lab();
    const [first, second] = [place.open(), place.open()]; // the first run was stopped meanwhile and no longer waits
    expect(hosts).toHaveLength(1);
    hosts[0]!.open();
    expect(await second).toBe(await first);
    expect(await place.open()).toBe(await first);
    expect(hosts).toHaveLength(1);
  });

  it('that was closed while it opened opens another one, and the first is closed when it comes', async () => {
    const { hosts, place } = lab();
    const first = place.open();
    await place.close();
    const second = place.open();
    expect(hosts).toHaveLength(2);
    hosts[1]!.open();
    const open = await second;
    hosts[0]!.open();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    expect(hosts.map(({ closed }) => closed)).toEqual([true, false]);
    expect(await place.open()).toBe(open);
  });

  it('does not take for open what answered with another adapter: the next run is refused as well', async () => {
    const { hosts, place } = lab(['the card', 'SwiftShader', 'SwiftShader']);
    const opened = place.open();
    hosts[0]!.open();
    await opened;
    await place.close();
    for (const i of [1, 2]) {
      const again = place.open();
      hosts[i]!.open();
      await expect(again).rejects.toThrow(PupilError);
      await expect(again).rejects.toMatchObject({ code: 'gpu-software-only' });
      expect(hosts[i]!.closed).toBe(true);
    }
  });
});
