// fullCards.test.ts: a grid over several cards: each place in the line is a browser of one card, and what cannot be is said
// before anything starts. The session is made up; a real sandbox is in sandbox.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { WAYS, writeTinyGrid } from '../support/tinyGrid';
import { pupil } from './fakeSession';
import { IN_ORDER, madeUpMachine, nvidiaFiles } from './madeUpMachine';

const folder = mkdtempSync(join(tmpdir(), 'pupil-full-cards-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const grid = writeTinyGrid(folder, [WAYS], 2);
const full = (out: string, ...more: string[]) => ['full', grid, '--local', '--out', join(folder, out), ...more];
const machine = madeUpMachine(IN_ORDER);

it('opens one browser a card, and asks each for hardware of NVIDIA', async () => {
  const { hosts, calls } = await pupil(full('two', '--gpus', '1,3'), {}, { machine });
  expect(hosts.map(({ card }) => card).sort()).toEqual([1, 3]);
  const opened = calls.filter(({ method }) => method === 'open').map(({ args }) => args[0]);
  expect(opened).toHaveLength(2);
  for (const options of opened) expect(options).toMatchObject({ requireHardware: true, expectVendor: 'nvidia' });
});

it('starts nothing for a card that is not there, twice the same, a host that cannot hide them, or without bubblewrap', async () => {
  const { '/usr/bin/bwrap': _, ...files } = nvidiaFiles();
  const cases: [string[], RegExp, typeof machine][] = [
    [['--gpus', '0,4'], /got 4; it has GPU 0/, machine],
    [['--gpus', '1,1'], /1 is named twice/, machine],
    [['--gpus', '0', '--slots', '2'], /cannot be used with option/, machine],
    [['--gpus', '0', '--host', 'node'], /cannot hide cards from itself/, machine],
    [['--gpus', '0,1'], /apt-get install bubblewrap/, madeUpMachine({ files })],
    [['--gpus', '0'], /no \/dev\/nvidia0/, madeUpMachine()],
  ];
  for (const [args, message, where] of cases) {
    const { code, err, hosts } = await pupil(full('never', ...args), {}, { machine: where });
    expect(err).toMatch(message);
    expect([code > 0, hosts.length]).toEqual([true, 0]);
  }
});
