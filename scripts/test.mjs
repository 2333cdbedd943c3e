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

/** @typedef {{ passed: number, failed: number, skipped: number, seconds: number }} Counts */
/** @typedef {Counts & { name: string }} Row */

const NOTHING = Object.freeze({ passed: 0, failed: 0, skipped: 0, seconds: 0 });

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
 * @param {string} name @param {[string, string[]][][]} claims
 * @returns {Promise<Row[]>}
 */
async function asTests(name, claims) {
  const startedAt = Date.now();
  const holds = await Promise.all(
    claims.map(async (commands) => {
      const codes = await Promise.all(commands.map(([command, args]) => run(bin(command), args, { inOnePiece: true })));
      for (const [i, code] of codes.entries()) if (code !== 0) fails(commands[i]?.[0] ?? '', `exit code ${code}`);
      return codes.every((code) => code === 0);
    }),
  );
  const passed = holds.filter(Boolean).length;
  const seconds = (Date.now() - startedAt) / 1000;
  return [{ name, passed, failed: holds.length - passed, skipped: 0, seconds }];
}

/**
 * A Vitest project, counted test by test from its JSON report: one row, or one for each folder of test/ that was asked for. A
 * file that could not be loaded, an error outside tests and a missing report count as one failure each; a project without
 * files as nothing. Seconds of folders are those of their files one after the other: two run at a time.
 * @param {string} project @param {readonly string[]} folders @param {Record<string, string>} [env]
 * @returns {Promise<Row[]>}
 */
async function vitest(project, folders, env = {}) {
  const report = path.join(REPORTS, `${project}.json`);
  rmSync(report, { force: true });
  const startedAt = Date.now();
  const output = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const status = await run(
    bin('vitest'),
    ['run', '--project', project, '--passWithNoTests', ...output, ...folders.map((name) => `test/${name}/`)],
    { env: { ...vulkanEnvironment(), ...env } },
  );
  const rows = (folders.length > 0 ? folders : [project]).map((name) => ({ name, ...NOTHING }));
  const whole = /** @type {Row} */ (rows[0]);
  try {
    const { testResults } =
      /** @type {{ testResults: { name: string, status: string, message: string, startTime: number, endTime: number, assertionResults: { status: string, fullName: string, failureMessages?: string[] }[] }[] }} */ (
        JSON.parse(readFileSync(report, 'utf8'))
      );
    for (const file of testResults) {
      const name = path.relative(ROOT, file.name);
      const row = rows.find((each) => name.split(path.sep)[1] === each.name) ?? whole;
      const seconds = (file.endTime - file.startTime) / 1000;
      row.seconds += seconds;
      slowest.push({ name: `${project} ${name}`, seconds });
      const before = row.failed;
      for (const { status: outcome, fullName, failureMessages } of file.assertionResults) {
        if (outcome === 'passed') row.passed++;
        else if (outcome === 'failed') {
          row.failed++;
          fails(`${project} ${name} > ${fullName}`, failureMessages?.join('\n') ?? '');
        } else row.skipped++;
      }
      if (file.status === 'failed' && row.failed === before) {
        row.failed++;
        fails(`${project} ${name}`, file.message);
      }
    }
  } catch (error) {
    fails(project, `no report (${error instanceof Error ? error.message : String(error)})`);
    whole.failed++;
  }
  if (status !== 0 && rows.every(({ failed }) => failed === 0)) {
    whole.failed++;
    fails(project, `no test failed, but Vitest ended with exit code ${status}: its own output above says why`);
  }
  if (folders.length === 0) whole.seconds = (Date.now() - startedAt) / 1000;
  return rows;
}

/**
 * Everything in order: the names of parts, and what runs those of them that are wanted. Folders of Node go into one run, the
 * longest of all files first: each in a run of its own would end with one worker waiting for the other.
 * @param {boolean} long @returns {{ names: readonly string[], run: (names: readonly string[]) => Promise<Row[]> }[]}
 */
function parts(long) {
  /** @type {Record<string, string>} */
  const env = long ? { PUPIL_TEST_LONG: '1' } : {};
  const whole = (/** @type {string} */ project, more = {}) => ({
    names: [project],
    run: () => vitest(project, [], { ...env, ...more }),
  });
  return [
    {
      names: ['types-lint'],
      run: () =>
        asTests('types-lint', [
          // svelte-check compiles every file that tsconfig.json names, not only components.
          [['svelte-check', ['--threshold', 'warning', '--output', 'human']]],
          [
            ['oxlint', ['.']],
            ['eslint', ['.']],
            ['prettier', ['--check', '--log-level', 'warn', '.']],
          ],
        ]),
    },
    { names: NODE_FOLDERS, run: (names) => vitest('node', names, env) },
    ...(lavapipeIcd() === undefined || process.env['PUPIL_NODE_ADAPTER']
      ? []
      : [whole('lavapipe', { PUPIL_TEST_LAVAPIPE: '1' })]),
    whole('browser'),
    ...(long ? [whole('long')] : []),
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
/** @type {Row[]} */
const rows = [];
const wanted = values.only?.split(',');
const all = parts(values.long === true);
const known = all.flatMap(({ names }) => names);
const unknown = wanted?.find((name) => !known.includes(name));
if (unknown !== undefined) {
  console.error(`--only: expected ${known.join(', ')}, got ${unknown}`);
  process.exit(2);
}
const startedAt = Date.now();
if (!(await prepare())) {
  fails('preparation', 'said above');
  rows.push({ ...NOTHING, name: 'preparation', failed: 1 });
}
for (const part of all) {
  const names = part.names.filter((name) => wanted?.includes(name) ?? true);
  if (names.length === 0) continue;
  console.log(`\n── ${names.join(', ')} ──`);
  rows.push(...(await part.run(names)));
}
slowest.sort((a, b) => b.seconds - a.seconds);
for (const { name, seconds } of slowest.slice(0, LISTED)) console.log(`${seconds.toFixed(0).padStart(5)} s  ${name}`);
if (failures.length > 0) console.log(`\n${failures.join('\n\n')}`);
const count = (/** @type {number} */ of, width = 5) => of.toFixed(0).padStart(width);
const total = { ...NOTHING };
console.log();
for (const { name, passed, failed, skipped, seconds } of rows) {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  const outcome = `${count(passed, 6)} passed${count(failed)} failed${count(skipped)} skipped`;
  console.log(`  ${name.padEnd(14)}${outcome}${count(seconds)} s`);
}
console.log(`  in all${count((Date.now() - startedAt) / 1000, 53)} s\n`);
if (total.skipped > 0 && !process.env['PUPIL_DATA']) {
  console.log('Skipped tests that say "needs PUPIL_DATA" read real weights and data sets from that folder.');
}
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed > 0 ? 1 : 0);
