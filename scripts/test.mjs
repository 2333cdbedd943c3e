#!/usr/bin/env node
// test.mjs: `npm test`: types, lint, then every test project, one after the other; a failing part does not stop the next.
// Its last line is `N passed, N failed` (and `, N skipped` where there are any); the exit status is that of the count.
// It takes `--long` (test/long as well) and `--only PART[,PART]`.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { aptInstall, mayUseApt } from './apt.mjs';
import { ensureBrowser } from './browser.mjs';
import { buildIfStale, ROOT } from './build.mjs';
import { lavapipeIcd, vulkanEnvironment } from './vulkan.mjs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/** Of every test file, for the list at the end: what to look at first when the whole takes too long. */
const slowest = /** @type {{ name: string, seconds: number }[]} */ ([]);
const LISTED = 15;
/** Of every failure, where it is and how its message begins: told again at the end, which is what a long log is read from. */
const failures = /** @type {string[]} */ ([]);
const MESSAGE_LINES = 8;
const fails = (/** @type {string} */ where, /** @type {string} */ message) =>
  failures.push(`✗ ${where}\n${message.trim().split('\n').slice(0, MESSAGE_LINES).join('\n')}`);

const NODE_FOLDERS = ['architecture', 'unit', 'kernels', 'gradients', 'golden', 'cli', 'page'];
const bin = (/** @type {string} */ name) => path.join(ROOT, 'node_modules', '.bin', name);
const REPORTS = path.join(ROOT, 'node_modules', '.cache', 'pupil-test');

/**
 * Runs a program with our terminal, or tells what it said in one piece at its end where others run beside it. Resolves to
 * its exit status (128 + … for a signal).
 * @param {string} command @param {string[]} args @param {{ env?: Record<string, string>, inOnePiece?: boolean }} [options]
 * @returns {Promise<number>}
 */
function run(command, args, { env = {}, inOnePiece = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', inOnePiece ? 'pipe' : 'inherit', inOnePiece ? 'pipe' : 'inherit'],
      env: { ...process.env, ...env },
      shell: process.platform === 'win32',
    });
    /** @type {Buffer[]} */
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => said.push(chunk));
    child.on('close', () => process.stdout.write(Buffer.concat(said)));
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(127);
    });
    child.on('close', (code) => resolve(code ?? 128));
  });
}

/**
 * Claims that are one test each: all commands of a claim end with 0. Each command keeps one processor busy, so all run at once.
 * @param {[string, string[]][][]} claims
 * @returns {Promise<Counts>}
 */
async function asTests(claims) {
  const holds = await Promise.all(
    claims.map(async (commands) => {
      const codes = await Promise.all(commands.map(([name, args]) => run(bin(name), args, { inOnePiece: true })));
      for (const [i, code] of codes.entries()) if (code !== 0) fails(commands[i]?.[0] ?? '', `exit code ${code}`);
      return codes.every((code) => code === 0);
    }),
  );
  const passed = holds.filter(Boolean).length;
  return { passed, failed: holds.length - passed, skipped: 0 };
}

/**
 * A Vitest project, counted test by test from its JSON report. A file that could not be loaded, an error outside tests and
 * a missing report count as one failure each; a project without files as nothing.
 * @param {string} project @param {string[]} filters @param {Record<string, string>} [env]
 * @returns {Promise<Counts>}
 */
async function vitest(project, filters, env = {}) {
  const report = path.join(REPORTS, `${project}-${filters.join('-').replace(/\W+/g, '_')}.json`);
  rmSync(report, { force: true });
  const status = await run(
    bin('vitest'),
    [
      'run',
      '--project',
      project,
      '--passWithNoTests',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...filters,
    ],
    { env: { ...vulkanEnvironment(), ...env } },
  );
  /** @type {Counts} */
  const counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    const { testResults } =
      /** @type {{ testResults: { name: string, status: string, message: string, startTime: number, endTime: number, assertionResults: { status: string, fullName: string, failureMessages?: string[] }[] }[] }} */ (
        JSON.parse(readFileSync(report, 'utf8'))
      );
    for (const file of testResults) {
      const name = path.relative(ROOT, file.name);
      slowest.push({ name: `${project} ${name}`, seconds: (file.endTime - file.startTime) / 1000 });
      const before = counts.failed;
      for (const { status: outcome, fullName, failureMessages } of file.assertionResults) {
        if (outcome === 'passed') counts.passed++;
        else if (outcome === 'failed') {
          counts.failed++;
          fails(`${project} ${name} > ${fullName}`, failureMessages?.join('\n') ?? '');
        } else counts.skipped++;
      }
      if (file.status === 'failed' && counts.failed === before) {
        counts.failed++;
        fails(`${project} ${name}`, file.message);
      }
    }
  } catch (error) {
    fails(project, `no report (${error instanceof Error ? error.message : String(error)})`);
    counts.failed++;
  }
  if (status !== 0 && counts.failed === 0) {
    counts.failed++;
    fails(project, `no test failed, but Vitest ended with exit code ${status}: its own output above says why`);
  }
  return counts;
}

/** Everything in order. @param {boolean} long @returns {[string, () => Promise<Counts>][]} */
function parts(long) {
  return [
    [
      'types-lint',
      () =>
        asTests([
          [
            ['tsc', ['--noEmit']],
            ['svelte-check', ['--threshold', 'warning', '--output', 'human']],
          ],
          [
            ['eslint', ['.']],
            ['prettier', ['--check', '--log-level', 'warn', '.']],
          ],
        ]),
    ],
    ...NODE_FOLDERS.map(
      (name) =>
        /** @type {[string, () => Promise<Counts>]} */ ([
          name,
          () => vitest('node', [`test/${name}/`], long ? { PUPIL_TEST_LONG: '1' } : {}),
        ]),
    ),
    ...(lavapipeIcd() === undefined || process.env['PUPIL_NODE_ADAPTER']
      ? []
      : [
          /** @type {[string, () => Promise<Counts>]} */ ([
            'lavapipe',
            () => vitest('lavapipe', [], { PUPIL_TEST_LAVAPIPE: '1', ...(long ? { PUPIL_TEST_LONG: '1' } : {}) }),
          ]),
        ]),
    ['browser', () => vitest('browser', [], long ? { PUPIL_TEST_LONG: '1' } : {})],
    ...(long
      ? [/** @type {[string, () => Promise<Counts>]} */ (['long', () => vitest('long', [], { PUPIL_TEST_LONG: '1' })])]
      : []),
  ];
}

/** Redis, without which the tests of the queue are skipped: installed where we may, as the browser is. */
function prepareRedis() {
  const there = () => spawnSync('redis-server', ['--version']).status === 0;
  if (there()) return;
  if (mayUseApt()) {
    console.error('No redis-server found: installing it with apt-get …');
    for (const failure of aptInstall('redis-server')) console.error(failure);
  }
  if (!there())
    console.log('No redis-server: the tests of the queue are skipped. Debian: apt-get install redis-server.');
}

/** Browser and builds, which several parts need: made once here, so that two tests never build at the same time. */
async function prepare() {
  try {
    process.env['PUPIL_BROWSER'] = await ensureBrowser();
    console.log(`Browser: ${process.env['PUPIL_BROWSER']}`);
    prepareRedis();
    buildIfStale('page');
    buildIfStale('cli');
    return true;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    const { hint } = /** @type {{ hint?: string }} */ (error);
    if (hint !== undefined) console.error(`  ${hint}`);
    return false;
  }
}

const { values } = parseArgs({ options: { long: { type: 'boolean' }, only: { type: 'string' } } });
mkdirSync(REPORTS, { recursive: true });
/** @type {Counts} */
const total = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const lines = [];
const add = (/** @type {string} */ name, /** @type {Counts} */ counts, /** @type {number} */ startedAt) => {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(0).padStart(5);
  lines.push(
    `  ${name.padEnd(14)}${String(counts.passed).padStart(6)} passed${String(counts.failed).padStart(5)} failed${String(counts.skipped).padStart(5)} skipped${seconds} s`,
  );
};

const wanted = values.only?.split(',');
const all = parts(values.long === true);
const unknown = wanted?.find((name) => !all.some(([known]) => known === name));
if (unknown !== undefined) {
  console.error(`--only: expected ${all.map(([name]) => name).join(', ')}, got ${unknown}`);
  process.exit(2);
}
const startedAt = Date.now();
if (!(await prepare())) {
  fails('preparation', 'said above');
  add('preparation', { passed: 0, failed: 1, skipped: 0 }, startedAt);
}
for (const [name, part] of all) {
  if (wanted !== undefined && !wanted.includes(name)) continue;
  console.log(`\n── ${name} ──`);
  const partStartedAt = Date.now();
  add(name, await part(), partStartedAt);
}
slowest.sort((a, b) => b.seconds - a.seconds);
for (const { name, seconds } of slowest.slice(0, LISTED)) console.log(`${seconds.toFixed(0).padStart(5)} s  ${name}`);
if (failures.length > 0) console.log(`\n${failures.join('\n\n')}`);
console.log(`\n${lines.join('\n')}\n`);
if (total.skipped > 0 && !process.env['PUPIL_DATA']) {
  console.log('Skipped tests that say "needs PUPIL_DATA" read real weights and data sets from that folder.');
}
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed > 0 ? 1 : 0);
