#!/usr/bin/env node
// bench.mjs: `npm run bench`: builds the benchmark, runs it in a page of headless Chromium or on Dawn in Node, and prints the
// medians of Pupil and of its peer, measured in turns in one process. It judges nothing: what is fast enough is for the reader.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { browserFlags, ensureBrowser, GPU_MODES } from './browser.mjs';
import { ROOT } from './build.mjs';
import { folderHandler, serve } from './staticServer.mjs';
import { vulkanEnvironment } from './vulkan.mjs';

const USAGE = `npm run bench [-- options]
  --filter A,B      only these sections: matmul, nf4, training, decoding, load
  --rounds N        rounds of every section (9)
  --profile         time inside each kernel of the training step, where the adapter has timestamps
  --student DIR     a checkpoint folder (default: $PUPIL_DATA/weights/story_llama, else random weights in its shape)
  --host HOST       chrome (its page), or node (Dawn in this process, where no browser runs) (chrome)
  --gpu MODE        of Chrome: ${GPU_MODES.join(', ')} (software)
  --json            the report as JSON on stdout
  --out FILE        the report as JSON into a file as well`;

const { values } = parseArgs({
  options: {
    filter: { type: 'string' },
    rounds: { type: 'string' },
    profile: { type: 'boolean', default: false },
    student: { type: 'string' },
    host: { type: 'string', default: 'chrome' },
    gpu: { type: 'string', default: 'software' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

/** @param {string} message @returns {never} */
function refuse(message) {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const gpu =
  GPU_MODES.find((mode) => mode === values.gpu) ?? refuse(`--gpu: expected one of those below, got ${values.gpu}`);
if (values.host !== 'chrome' && values.host !== 'node') refuse(`--host: expected chrome or node, got ${values.host}`);
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1)) {
  refuse(`--rounds: expected a whole number from 1, got ${values.rounds}`);
}
const sections = values.filter?.split(',');
const unknown = sections?.find((name) => !['matmul', 'nf4', 'training', 'decoding', 'load'].includes(name));
if (unknown !== undefined) refuse(`--filter: expected some of the sections below, got ${unknown}`);
const data = process.env['PUPIL_DATA'];
const usual = data ? path.join(data, 'weights', 'story_llama') : undefined;
const student = values.student ?? (usual !== undefined && existsSync(usual) ? usual : undefined);
if (student !== undefined && !existsSync(path.join(student, 'config.json'))) {
  refuse(`--student: expected a folder with a config.json, got ${student}`);
}

function commit() {
  const git = (/** @type {string[]} */ ...args) => spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  const head = git('rev-parse', '--short', 'HEAD');
  if (head.status !== 0) return undefined;
  const changed = git('status', '--porcelain', '--', 'src', 'shaders', 'bench').stdout.trim() !== '';
  return `${head.stdout.trim()}${changed ? ' with changes' : ''}`;
}

/** @param {string} config */
function build(config) {
  const vite = path.join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js');
  const built = spawnSync(process.execPath, [vite, 'build', '--config', config, '--logLevel', 'warn'], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
  if (built.status === 0) return;
  console.error('npm run bench: the benchmark could not be built');
  process.exit(1);
}

/** @typedef {{ report: object, text: string }} Outcome what was measured, and the same for a person */

/**
 * @param {import('../bench/bench').BenchOptions} options
 * @param {object} named what the report says beside its measurements
 * @param {string} address
 * @returns {Promise<Outcome>}
 */
async function inChrome(options, named, address) {
  const browser = await chromium.launch({
    executablePath: await ensureBrowser(),
    headless: false, // --headless=new is among the flags: Playwright's own headless shell has no WebGPU
    args: browserFlags({ gpu }),
  });
  try {
    const tab = await browser.newPage();
    const startedAt = Date.now();
    tab.on('console', (message) =>
      console.error(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${message.text()}`),
    );
    tab.on('pageerror', (error) => console.error(`page: ${error.message}`));
    await tab.goto(address, { waitUntil: 'load' });
    await tab.waitForFunction(() => window.pupilBench !== undefined);
    return await tab.evaluate(async ([chosen, more]) => {
      if (window.pupilBench === undefined) throw new Error('the page offers no benchmark');
      const report = { ...(await window.pupilBench.run(chosen)), ...more };
      return { report, text: window.pupilBench.format(report) };
    }, /** @type {const} */ ([options, named]));
  } finally {
    await browser.close();
  }
}

/**
 * The server must go on answering meanwhile: no spawnSync.
 * @param {import('../bench/bench').BenchOptions} options
 * @param {object} named
 * @returns {Promise<Outcome>}
 */
function inNode(options, named) {
  const program = path.join(ROOT, 'dist', 'bench-node', 'node.js');
  const child = spawn(process.execPath, [program, JSON.stringify(options), JSON.stringify(named)], {
    stdio: ['ignore', 'pipe', 2],
    env: { ...process.env, ...vulkanEnvironment() },
  });
  return new Promise((resolve, reject) => {
    let out = '';
    child.stdout?.setEncoding('utf8').on('data', (part) => (out += part));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(/** @type {Outcome} */ (JSON.parse(out)));
      else reject(new Error(`the benchmark ended with ${code}`));
    });
  });
}

build(values.host === 'node' ? 'bench/vite.node.config.ts' : 'bench/vite.config.ts');
const page = folderHandler(path.join(ROOT, 'dist', 'bench'));
const weights = student === undefined ? undefined : folderHandler(student);
const server = await serve(
  async (request, response) => {
    const match = /^\/student(\/.*)$/.exec(request.url ?? '');
    if (match !== null && weights !== undefined) {
      request.url = match[1];
      await weights(request, response);
    } else await page(request, response);
  },
  { port: 0 },
);
let failed = false;
try {
  const address = `http://127.0.0.1:${server.port}/`;
  const options = {
    profile: values.profile,
    ...(sections === undefined ? {} : { sections: /** @type {import('../bench/bench').Section[]} */ (sections) }),
    ...(rounds === undefined ? {} : { rounds }),
    ...(student === undefined ? {} : { student: `${address}student/` }),
  };
  const at = commit();
  const named = {
    ...(at === undefined ? {} : { commit: at }),
    ...(student === undefined ? {} : { student: path.basename(student) }),
  };
  const { report, text } =
    values.host === 'node' ? await inNode(options, named) : await inChrome(options, named, address);
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (values.out !== undefined) {
    mkdirSync(path.dirname(path.resolve(values.out)), { recursive: true });
    writeFileSync(values.out, json);
  }
  process.stdout.write(values.json ? json : `\n${text}`);
} catch (error) {
  console.error(`npm run bench: ${error instanceof Error ? error.message : String(error)}`);
  failed = true;
} finally {
  await server.close();
}
process.exit(failed ? 1 : 0);
