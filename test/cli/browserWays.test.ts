// browserWays.test.ts: how the command line comes to a browser with a GPU: the ways it tries, and when it goes on to the
// next. No browser is started here.
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { firstThatServes, waysFor } from '../../src/cli/browserWays';
import type { DoctorReport } from '../../src/session/protocol';
import { IN_ORDER, madeUpMachine, nvidiaFiles } from './madeUpMachine';

type Found = 'nothing' | 'software' | 'hardware' | 'broken';

/** Tries the ways of a mode where each finds what `finds` says; the number of the way that was kept, and what was closed. */
async function kept(ways: ReturnType<typeof waysFor>, finds: readonly Found[]) {
  const closed: number[] = [];
  const notes: string[] = [];
  const waits: number[] = [];
  let tried = 0;
  const { opened, tried: told } = await firstThatServes(
    ways,
    () => {
      const way = tried++;
      const found = finds[way]!;
      if (found === 'broken') return Promise.reject(new PupilError('browser', 'browser: chrome did not start'));
      const doctor = {
        adapter: found === 'hardware' ? { vendor: 'nvidia', architecture: 'ampere' } : {},
        tiers: found === 'nothing' ? [] : ['f32'],
        software: found === 'software',
      } as unknown as DoctorReport;
      return Promise.resolve({
        way,
        browser: { flags: ['--a', '--b', `--way-${way}`], close: () => Promise.resolve(void closed.push(way)) },
        session: { doctor: () => Promise.resolve(doctor) },
      });
    },
    (text) => notes.push(text),
    (ms) => Promise.resolve(void waits.push(ms)),
  );
  return { way: opened.way, closed, notes, gave: told.map(({ gave }) => gave), waits };
}

const SERVER = madeUpMachine(IN_ORDER);
const GPU = waysFor('auto', SERVER);

describe('the ways of a machine', () => {
  const flags = (mode: string, machine = SERVER): string[] =>
    waysFor(mode, machine).map(({ gpu, extraFlags = [], headed, afterMs }) =>
      [gpu, ...extraFlags, ...(headed === true ? ['headed'] : []), ...(afterMs ? ['later'] : [])].join(' '),
    );
  const VULKAN = [
    'vulkan',
    'vulkan --enable-features=Vulkan,VulkanFromANGLE,DefaultANGLEVulkan',
    'vulkan --use-vulkan=native',
    'vulkan later',
  ];

  it('with a card: all of Vulkan, a window where there is Xvfb, software last', () => {
    expect(flags('auto')).toEqual([...VULKAN, 'vulkan headed', 'software']);
    expect(flags('vulkan')).toEqual([...VULKAN, 'vulkan headed']);
    const bare = madeUpMachine({ files: { '/dev/nvidia3': '' } });
    expect(flags('auto', bare)).toEqual([...VULKAN, 'software']);
  });

  it('without a card: software at once; on a desktop what it would take by itself', () => {
    expect(flags('auto', madeUpMachine())).toEqual(['software']);
    expect(flags('auto', madeUpMachine({ platform: 'darwin' }))).toEqual(['native', 'software']);
    expect(flags('software')).toEqual(['software']);
    expect(flags('native')).toEqual(['native']);
    const { '/usr/bin/Xvfb': _, ...files } = nvidiaFiles();
    expect(flags('vulkan', madeUpMachine({ files }))).toEqual(VULKAN);
    const other = madeUpMachine({ files: { '/dev/dri/renderD128': '' } });
    expect(flags('vulkan', other)).toEqual(VULKAN.slice(0, 3));
  });
});

describe('a way to start the browser', () => {
  it('that gives a hardware adapter is kept', async () => {
    expect(await kept(GPU, ['hardware'])).toEqual({
      way: 0,
      closed: [],
      notes: [],
      gave: ['a hardware adapter (nvidia ampere)'],
      waits: [],
    });
  });

  it('that falls back to software silently is not: the others are tried, and told', async () => {
    const { way, closed, notes, gave } = await kept(GPU, ['software', 'nothing', 'hardware']);
    expect(way).toBe(2);
    expect(closed).toEqual([0, 1]);
    expect(notes[0]).toContain('software adapter with --a --b --way-0');
    expect(notes[1]).toContain('no adapter');
    expect(gave).toEqual(['only a software adapter', 'no adapter', 'a hardware adapter (nvidia ampere)']);
  });

  it('that does not start is passed over, and told', async () => {
    const { way, gave } = await kept(GPU, ['software', 'broken', 'hardware']);
    expect(way).toBe(2);
    expect(gave[1]).toBe('browser: chrome did not start');
  });

  it('is an error where even the last does not start', async () => {
    await expect(
      kept(waysFor('vulkan', SERVER), ['nothing', 'broken', 'broken', 'broken', 'broken']),
    ).rejects.toMatchObject({
      code: 'browser',
    });
    await expect(kept(waysFor('software', SERVER), ['broken'])).rejects.toThrow('did not start');
  });

  it('for software is the last resort where a GPU was hoped for, and said to be', async () => {
    const { way, closed, notes } = await kept(GPU, [
      'software',
      'software',
      'software',
      'software',
      'software',
      'software',
    ]);
    expect([way, closed]).toEqual([5, [0, 1, 2, 3, 4]]);
    expect(notes.at(-1)).toContain('computes in software');
  });

  it('is the only one where software was asked for, and says nothing', async () => {
    const { way, notes } = await kept(waysFor('software', SERVER), ['software']);
    expect([way, notes]).toEqual([0, []]);
  });

  it('which is the last is kept whatever it gives, so that doctor can say what', async () => {
    expect((await kept(waysFor('vulkan', SERVER), ['software', 'nothing', 'nothing', 'nothing', 'nothing'])).way).toBe(
      4,
    );
  });

  it('is the first once more, a while later, for a card that slept through all of them', async () => {
    const { way, waits } = await kept(GPU, ['nothing', 'nothing', 'nothing', 'hardware']);
    expect([way, waits]).toEqual([3, [5000]]);
  });
});
