// verbsDoctor.test.ts: what `pupil doctor` tells: the tiers and what a missing one lacks, the ways that were tried, what the
// machine lacks, also where no browser starts. The session is made up; machineProbes.test.ts has the findings themselves.
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { main } from '../../src/cli/program';
import { Output } from '../../src/cli/output';
import { doctorText, tierLines } from '../../src/cli/verbs/doctor';
import type { DoctorReport } from '../../src/session/protocol';
import { jsonLines, Kept, pupil } from './fakeSession';
import { IN_ORDER, madeUpMachine, nvidiaFiles } from './madeUpMachine';

const report = (tiers: string[], software = false): DoctorReport => ({
  adapter: { vendor: 'nvidia', architecture: 'ampere' },
  ...{ tier: 'f32', tiers, software, storage: {}, crossOriginIsolated: true },
  ...{ userAgent: 'test', pupilVersion: '0', problems: [] },
});
const F16 = '--enable-dawn-features=vulkan_enable_f16_on_nvidia';

describe('tiers', () => {
  it('of an adapter that offers all have nothing to add', () => {
    expect(tierLines(report(['f32', 'f16', 'matrix']), '--x')).toEqual(['tier        f32 (offered: f32, f16, matrix)']);
  });

  it('that are missing name the feature, and the flag where the browser was started without it', () => {
    const [, f16, matrix] = tierLines(report(['f32']), '--headless=new');
    expect(f16).toMatch(/f16 +no: the adapter lacks shader-f16; start the browser with --enable-dawn-features/);
    expect(matrix).toMatch(
      /matrix +no: .*chromium-experimental-subgroup-matrix; start the browser with --enable-unsafe/,
    );
  });

  it('that are missing although the flag is there need another card or driver', () => {
    const [, f16, matrix] = tierLines(report(['f32']), `--enable-unsafe-webgpu ${F16}`);
    expect(f16).toContain('it needs a GPU and driver with 16-bit storage');
    expect(matrix).toContain('VK_KHR_cooperative_matrix');
  });

  it('of a software adapter are not helped by flags; without an adapter there is none', () => {
    expect(tierLines(report(['f32'], true), '--x')[1]).toBe('  f16       no: the adapter lacks shader-f16');
    expect(tierLines(report([]), '--x')[1]).toBe('  f32       no: there is no adapter');
  });
});

it('every way that was tried is told with what it gave; its flags too, those of the last once', () => {
  const tried = [
    { way: 'headless on Vulkan', flags: '--first', gave: 'only a software adapter (google swiftshader)' },
    { way: 'in a window under Xvfb', flags: '--last', gave: 'a hardware adapter (nvidia ampere)' },
  ];
  const text = doctorText(report(['f32']), { flags: '--last' }, tried, [{ level: 'problem', what: 'w', mend: 'm' }]);
  expect(text).toContain('tried       headless on Vulkan: only a software adapter (google swiftshader)');
  expect(text).toContain('            --first');
  expect(text).toContain('            in a window under Xvfb: a hardware adapter (nvidia ampere)');
  expect(text.match(/--last/g)).toHaveLength(1);
  expect(text.split('\n').slice(-2)).toEqual(['problem     w', '            → m']);
});

describe('what the machine lacks', () => {
  const { '/usr/bin/bwrap': _, ...files } = nvidiaFiles();
  const machine = madeUpMachine({ ...IN_ORDER, files, env: { PUPIL_BROWSER: '/usr/bin/Xvfb' } });

  it('comes with its command, for people and for machines', async () => {
    const told = await pupil(['doctor'], {}, { machine });
    expect(told.out).toContain('problem     4 cards, but no bubblewrap');
    expect(told.out).toContain('→ sudo apt-get install bubblewrap');
    const [line] = jsonLines((await pupil(['doctor', '--json'], {}, { machine })).out);
    const lacks = { level: 'problem', mend: 'sudo apt-get install bubblewrap' };
    expect(line?.['machine']).toEqual(expect.arrayContaining([expect.objectContaining(lacks) as object]));
  });

  it('is told where no browser starts, and the failure after it', async () => {
    const out = new Kept();
    const err = new Kept();
    const streams = { out, err };
    const openHost = (): Promise<never> =>
      Promise.reject(new PupilError('browser', 'browser: /opt/chrome did not start', 'Start it by hand.'));
    const code = await main(['doctor'], { openHost, machine, output: (json) => new Output(json, streams) }, streams);
    expect(code).toBe(1);
    expect(out.text).toContain('no bubblewrap');
    expect(err.text).toContain('/opt/chrome did not start');
  });

  it('counts a missing browser among it', async () => {
    const bare = madeUpMachine({ env: { PATH: '/nowhere' } });
    const out = new Kept();
    const streams = { out, err: new Kept() };
    const openHost = (): Promise<never> => Promise.reject(new PupilError('browser', 'none'));
    await main(['doctor'], { openHost, machine: bare }, streams);
    expect(out.text).toContain('no Chrome, Chromium or Edge was found');
  });
});
