// pageHost.test.ts: how the command line comes to a browser with a GPU: the ways it tries, and when it goes on to the
// next. No browser is started here.
import { describe, expect, it } from 'vitest';
import { attemptsFor, firstThatServes } from '../../src/cli/pageHost';
import type { DoctorReport } from '../../src/session/protocol';

type Found = 'nothing' | 'software' | 'hardware';

/** Tries the ways of a mode where each finds what `finds` says; the number of the way that was kept, and what was closed. */
async function kept(ways: ReturnType<typeof attemptsFor>, finds: readonly Found[]) {
  const closed: number[] = [];
  const notes: string[] = [];
  let tried = 0;
  const opened = await firstThatServes(
    ways,
    () => {
      const way = tried++;
      const found = finds[way]!;
      const doctor = { tiers: found === 'nothing' ? [] : ['f32'], software: found === 'software' } as DoctorReport;
      return Promise.resolve({
        way,
        browser: { flags: ['--a', '--b', `--way-${way}`], close: () => Promise.resolve(void closed.push(way)) },
        session: { doctor: () => Promise.resolve(doctor) },
      });
    },
    (text) => notes.push(text),
  );
  return { way: opened.way, closed, notes };
}

const GPU = [...attemptsFor('vulkan'), ...attemptsFor('software')];

describe('a way to start the browser', () => {
  it('that gives a hardware adapter is kept', async () => {
    expect(await kept(GPU, ['hardware'])).toEqual({ way: 0, closed: [], notes: [] });
  });

  it('that falls back to software silently is not: the others are tried', async () => {
    const { way, closed, notes } = await kept(GPU, ['software', 'nothing', 'hardware']);
    expect(way).toBe(2);
    expect(closed).toEqual([0, 1]);
    expect(notes[0]).toContain('software adapter with --a --b --way-0');
    expect(notes[1]).toContain('no adapter');
  });

  it('for software is the last resort where a GPU was hoped for, and said to be', async () => {
    const { way, closed, notes } = await kept(GPU, ['software', 'software', 'software', 'software']);
    expect([way, closed]).toEqual([3, [0, 1, 2]]);
    expect(notes.at(-1)).toContain('--require-hardware');
  });

  it('is the only one where software was asked for, and says nothing', async () => {
    expect(await kept(attemptsFor('software'), ['software'])).toEqual({ way: 0, closed: [], notes: [] });
  });

  it('which is the last is kept whatever it gives, so that doctor can say what', async () => {
    expect((await kept(attemptsFor('vulkan'), ['software', 'nothing', 'nothing'])).way).toBe(2);
  });
});
