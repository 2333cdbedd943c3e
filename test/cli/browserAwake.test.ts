// browserAwake.test.ts: a card that sleeps: a browser program that fails, hangs and fails again, and works when the first way is
// tried once more. The program is a script before a real Chromium, whose SwiftShader stands for the card that is awake;
// which way comes when is browserWays.test.ts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { browserFlags, findBrowser } from '../../scripts/browser.mjs';
import { launchBrowser } from '../../src/cli/browser';
import { firstThatServes, waysFor, waysText } from '../../src/cli/browserWays';
import type { DoctorReport } from '../../src/session/protocol';
import { IN_ORDER, madeUpMachine } from './madeUpMachine';

const folder = mkdtempSync(join(tmpdir(), 'pupil-awake-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the browser at the fourth time only; the second time it hangs, with its number in a file. */
function sleepyBrowser(): string {
  const program = join(folder, 'browser');
  const lines = [
    '#!/bin/sh',
    `echo "$*" >> ${folder}/launches`,
    `case $(wc -l < ${folder}/launches) in`,
    '  1|3) echo "vkCreateInstance failed" >&2; exit 1;;',
    `  2) echo $$ > ${folder}/hung; while :; do sleep 1; done;;`,
    `  *) exec ${findBrowser()} "$@";;`,
    'esac',
  ];
  writeFileSync(program, `${lines.join('\n')}\n`, { mode: 0o755 });
  return program;
}

it('is passed over where it fails or hangs, and kept when it works the fourth time, as at first; the notes tell it', async () => {
  const executablePath = sleepyBrowser();
  const notes: string[] = [];
  const waits: number[] = [];
  const { opened, tried } = await firstThatServes(
    waysFor('vulkan', madeUpMachine(IN_ORDER)),
    async ({ gpu, extraFlags = [] }) => {
      const hangs = extraFlags.some((flag) => flag.includes('ANGLE')) ? { startMs: 1500 } : {};
      const browser = await launchBrowser({ gpu, extraFlags, executablePath, ...hangs });
      const page = browser.context.pages()[0]!;
      const doctor = async (): Promise<DoctorReport> => {
        expect(await page.evaluate('navigator.userAgent')).toMatch(/Chrom/);
        const adapter = { vendor: 'nvidia', architecture: 'hopper' };
        return { adapter, tiers: ['f32'], software: false } as unknown as DoctorReport;
      };
      return { browser, session: { doctor } };
    },
    (text) => notes.push(text),
    (ms) => Promise.resolve(void waits.push(ms)),
  );
  await opened.browser.close();

  expect(waits).toEqual([5000]);
  expect(tried.map(({ way }) => way)).toEqual([
    'headless on Vulkan',
    'headless, Vulkan from ANGLE',
    "headless on the system's Vulkan",
    'headless on Vulkan once more, with the card awake',
  ]);
  expect(tried[1]!.gave).toMatch(/did not start: .*Timeout 1500ms exceeded/);
  expect(notes).toEqual([
    expect.stringMatching(/did not start: .*; trying another way$/),
    expect.stringMatching(/Timeout 1500ms exceeded.*; trying another way$/),
    expect.stringMatching(/did not start: .*; trying another way$/),
    'browser: headless on Vulkan once more, with the card awake, in 5 s',
  ]);
  expect(waysText(tried)).toMatch(
    /^headless on Vulkan: browser: .* with the card awake: a hardware adapter \(nvidia hopper\)$/,
  );

  // The fourth start has the flags of the first; nothing is left of the one that hung.
  const launches = readFileSync(join(folder, 'launches'), 'utf8').trimEnd().split('\n');
  const flagsOf = (launch: string): string[] =>
    launch
      .split(' ')
      .filter((word) => browserFlags({ gpu: 'vulkan' }).includes(word) || word.startsWith('--use-vulkan'));
  expect(launches).toHaveLength(4);
  expect(flagsOf(launches[3]!)).toEqual(flagsOf(launches[0]!));
  expect(flagsOf(launches[2]!)).not.toEqual(flagsOf(launches[0]!));
  const hung = Number(readFileSync(join(folder, 'hung'), 'utf8'));
  expect(() => process.kill(hung, 0)).toThrow(/ESRCH/);
});
