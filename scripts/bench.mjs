#!/usr/bin/env node
// bench.mjs: `npm run bench`: builds the benchmark's page, opens it in headless Chromium, and prints the medians of Pupil
// and of its peer, measured in turns in the same page. It judges nothing: what is fast enough is for the reader.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { browserFlags, ensureBrowser, GPU_MODES } from './browser.mjs';
import { ROOT } from './build.mjs';
import { folderHandler, serve } from './staticServer.mjs';

const USAGE = `npm run bench [-- options]
  --filter A,B      only these sections: matmul, nf4, training, decoding
  --rounds N        rounds of every section (9)
  --profile         time inside each kernel of the training step, where the adapter has timestamps
  --student DIR     a checkpoint folder (default: $PUPIL_DATA/weights/story_llama, else random weights in its shape)
  --gpu MODE        ${GPU_MODES.join(', ')} (software)
  --json            the report as JSON on stdout
  --out FILE        the report as JSON into a file as well`;

const { values } = parseArgs({
  options: {
    filter: { type: 'string' },
    rounds: { type: 'string' },
    profile: { type: 'boolean', default: false },
    student: { type: 'string' },
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
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1)) {
  refuse(`--rounds: expected a whole number from 1, got ${values.rounds}`);
}
const sections = values.filter?.split(',');
const unknown = sections?.find((name) => !['matmul', 'nf4', 'training', 'decoding'].includes(name));
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

const vite = path.join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js');
const built = spawnSync(process.execPath, [vite, 'build', '--config', 'bench/vite.config.ts', '--logLevel', 'warn'], {
  cwd: ROOT,
  stdio: ['ignore', 2, 2],
});
if (built.status !== 0) {
  console.error('npm run bench: the page could not be built');
  process.exit(1);
}

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
const browser = await chromium.launch({
  executablePath: await ensureBrowser(),
  headless: false, // --headless=new is among the flags: Playwright's own headless shell has no WebGPU
  args: browserFlags({ gpu }),
});
let failed = false;
try {
  const tab = await browser.newPage();
  const startedAt = Date.now();
  tab.on('console', (message) =>
    console.error(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${message.text()}`),
  );
  tab.on('pageerror', (error) => console.error(`page: ${error.message}`));
  const address = `http://127.0.0.1:${server.port}/`;
  await tab.goto(address, { waitUntil: 'load' });
  await tab.waitForFunction(() => window.pupilBench !== undefined);
  const options = {
    profile: values.profile,
    ...(sections === undefined ? {} : { sections: /** @type {import('../bench/bench').Section[]} */ (sections) }),
    ...(rounds === undefined ? {} : { rounds }),
    ...(student === undefined ? {} : { student: `${address}student/` }),
  };
  const report = await tab.evaluate(async (chosen) => {
    if (window.pupilBench === undefined) throw new Error('the page offers no benchmark');
    return window.pupilBench.run(chosen);
  }, options);
  const at = commit();
  const named = {
    ...report,
    ...(at === undefined ? {} : { commit: at }),
    ...(student === undefined ? {} : { student: path.basename(student) }),
  };
  const json = `${JSON.stringify(named, null, 2)}\n`;
  if (values.out !== undefined) {
    mkdirSync(path.dirname(path.resolve(values.out)), { recursive: true });
    writeFileSync(values.out, json);
  }
  const text = await tab.evaluate((finished) => window.pupilBench?.format(finished) ?? '', named);
  process.stdout.write(values.json ? json : `\n${text}`);
} catch (error) {
  console.error(`npm run bench: ${error instanceof Error ? error.message : String(error)}`);
  failed = true;
} finally {
  await browser.close();
  await server.close();
}
process.exit(failed ? 1 : 0);
