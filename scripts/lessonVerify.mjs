#!/usr/bin/env node
// lessonVerify.mjs: `npm run lesson:verify`: makes the published series again, in Node, and compares every row of their tables
// with docs/results/. Minutes for the lesson, hours for large series without a GPU; stopped, the same command goes on where it was.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';
import { ROOT } from './build.mjs';

const RESULTS = path.join(ROOT, 'docs', 'results');
const SUFFIX = '.series.json';
const published = readdirSync(RESULTS)
  .filter((name) => name.endsWith(SUFFIX))
  .map((name) => name.slice(0, -SUFFIX.length));

const USAGE = `npm run lesson:verify -- [SERIES …] [--seeds N] [--out DIR] [--only-compare]
  SERIES          of those published: ${published.join(', ') || 'none'}; all of them without a name
  --seeds N       the first N seeds only, compared with the same seeds
  --out DIR       where the runs go (runs/verify); what is there is gone on with
  --only-compare  nothing is run; what is in --out is compared
The adapter is chosen as for every test: PUPIL_NODE_ADAPTER=lavapipe is the fastest without a GPU.`;

/** @param {string} message @returns {never} */
function refuse(message) {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

/** @returns {{ names: string[], seeds: string | undefined, out: string, run: boolean }} */
function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        seeds: { type: 'string' },
        out: { type: 'string', default: path.join('runs', 'verify') },
        'only-compare': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const unknown = positionals.filter((name) => !published.includes(name));
    if (unknown.length > 0) refuse(`lesson:verify: nothing is published under ${unknown.join(', ')}`);
    const names = positionals.length > 0 ? positionals : published;
    return { names, seeds: values.seeds, out: path.resolve(values.out), run: !values['only-compare'] };
  } catch (error) {
    return refuse(/** @type {Error} */ (error).message);
  }
}

/** @param {string} file */
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** @param {{ correct: number, n: number }} counts */
const percent = ({ correct, n }) => `${((100 * correct) / n).toFixed(1).padStart(5)} %`;

const { names, seeds, out, run } = readArguments();
if (names.length === 0) refuse('lesson:verify: nothing is published');
const { module } = await runnerImport(path.join(ROOT, 'src', 'report', 'compareSeries.ts'), {
  configFile: false,
  root: ROOT,
  logLevel: 'error',
});
let failed = 0;
for (const name of names) {
  const folder = path.join(out, name);
  const before = readJson(path.join(RESULTS, name + SUFFIX));
  if (run) {
    // An experiment has one seed of its own; it was published with several.
    const flags = ['run', name, '--host', 'node', '--out', folder, '--seeds', seeds ?? String(before.seeds.length)];
    const { status } = spawnSync(process.execPath, [path.join(ROOT, 'scripts', 'pupil.mjs'), ...flags], {
      stdio: 'inherit',
    });
    if (status !== 0) process.exit(status ?? 1);
  }
  const made = path.join(folder, 'series.json');
  if (!existsSync(made)) refuse(`lesson:verify: there is no series.json in ${folder}`);
  const agreement = /** @type {any} */ (module).compareSeries(before, readJson(made));
  console.log(`\n${name}: published → made again, over the seeds that both have`);
  for (const { name: row, published: counts, again, equal, standardErrors, seeds: both } of agreement.results) {
    const verdict = equal ? 'equal' : `${standardErrors.toFixed(1)} standard errors apart`;
    console.log(`  ${percent(counts)} → ${percent(again)}  n = ${counts.n} (${both.length} seeds)  ${row}: ${verdict}`);
  }
  for (const row of agreement.missing) console.log(`  only in one of them: ${row}`);
  const { sameMachine, agrees, unequal, beyondTwo, beyondFour, results } = agreement;
  console.log(
    `  ${agrees ? 'AGREES' : 'DISAGREES'}: ${results.length} rows, ${unequal} not equal, ${beyondTwo} beyond 2 and ${beyondFour} beyond 4 standard errors` +
      (sameMachine
        ? '; same adapter and version, so every count must be equal'
        : '; another adapter or version, so at most 3 of 16 may lie beyond 2 and none beyond 4'),
  );
  if (!agrees) failed++;
}
process.exit(failed === 0 ? 0 : 1);
