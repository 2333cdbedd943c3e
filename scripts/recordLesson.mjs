#!/usr/bin/env node
// recordLesson.mjs: makes the recording of the lesson that the page shows where no run is possible or wanted: the real events
// of a real run, with the moments at which they came. It runs the command line, keeps what the page shows, and writes
// src/app/lesson/recording.json, fetched when somebody watches it, and preview.json, the little of it that the page has at
// once. It invents nothing.
//
//     node scripts/recordLesson.mjs [--seed N] [--raw FILE] [--from FILE] [-- flags of pupil run]
//
// --raw keeps the events with their times; --from makes the two files from such a file again, without a run.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { ROOT } from './build.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string', default: '0' }, raw: { type: 'string' }, from: { type: 'string' } },
});

/** @typedef {{ ms: number, event: Record<string, any> }} Timed */

/** @returns {Promise<{ events: Timed[], report: any }>} */
async function record() {
  const out = mkdtempSync(path.join(tmpdir(), 'pupil-recording-'));
  try {
    const flags = ['run', 'lesson', '--seed', values.seed, '--host', 'node', '--out', path.join(out, 'run'), '--json'];
    const child = spawn(process.execPath, [path.join(ROOT, 'scripts/pupil.mjs'), ...flags, ...positionals], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    /** @type {Timed[]} */
    const events = [];
    let began = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const event = JSON.parse(line);
      if (began === 0 && event.type === 'state') began = performance.now();
      if (began !== 0) events.push({ ms: Math.round(performance.now() - began), event });
    }
    if (child.exitCode !== 0) throw new Error(`the run ended with ${child.exitCode}`);
    return { events, report: JSON.parse(readFileSync(path.join(out, 'run', 'report.json'), 'utf8')) };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** What the page shows of a run; the rest is about files, bytes and times. */
const KEPT = new Set([
  'state',
  'phase',
  'progress',
  'metrics',
  'sample',
  'demonstration',
  'sampled',
  'pair',
  'pairs',
  'evaluation',
  'log',
]);
/** Of the metrics of a step. */
const KEPT_METRICS = [
  'loss',
  'eval_loss',
  'rewards/chosen',
  'rewards/rejected',
  'rewards/margins',
  'rewards/accuracies',
  'logps/chosen',
  'logps/rejected',
  'eval_rewards/margins',
  'learning_rate',
  'grad_norm',
];

/** @param {unknown} value six digits are more than a curve shows */
const short = (value) => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value);

/** @param {Timed} timed @returns {[number, Record<string, any>]} */
function kept({ ms, event }) {
  if (event.type !== 'metrics') return [ms, event];
  const values = Object.fromEntries(
    KEPT_METRICS.filter((name) => name in event.values).map((name) => [name, short(event.values[name])]),
  );
  return [ms, { ...event, values }];
}

/** @param {any} report @param {number} ms */
function about(report, ms) {
  const { environment, student, experiment } = report;
  return {
    name: report.name,
    seed: experiment.seed,
    recordedAt: report.startedAt,
    seconds: Math.round(ms / 1000),
    adapter: [environment.vendor, environment.architecture, environment.description].filter(Boolean).join(' · '),
    software: environment.software,
    tier: environment.tier,
    version: environment.pupilVersion,
    student: student.source,
    parameters: student.parameters,
    fingerprint: student.fingerprint,
    trainedTasks: experiment.tasks
      .filter((/** @type {any} */ task) => task.use.some((/** @type {string} */ use) => use !== 'evaluate'))
      .map((/** @type {any} */ task) => task.name),
    /** The same rows as in the events: what the report itself says. */
    evaluations: report.evaluations,
    pairs: report.pairs?.counts ?? {},
  };
}

/**
 * The little that the page has at once: two demonstrations, two pairs with their y and ŷ, the curves, the table.
 * @param {[number, Record<string, any>][]} events
 */
function preview(events) {
  const first = (/** @type {string} */ type, /** @type {number} */ count) =>
    events.filter(([, event]) => event.type === type).slice(0, count);
  const pairs = first('pair', 2);
  const sampled = events.filter(([, event]) => event.type === 'sampled' && event.index < 2);
  const chosen = new Set([...first('demonstration', 2), ...sampled, ...pairs]);
  const whole = new Set(['phase', 'metrics', 'pairs', 'evaluation', 'state']);
  return events.filter((timed) => chosen.has(timed) || whole.has(timed[1].type));
}

const { events, report } = values.from === undefined ? await record() : JSON.parse(readFileSync(values.from, 'utf8'));
if (values.raw !== undefined) writeFileSync(values.raw, JSON.stringify({ events, report }));
const told = events.filter((/** @type {Timed} */ { event }) => KEPT.has(event.type)).map(kept);
const head = { format: 'pupil-recording', version: 1, about: about(report, events.at(-1).ms) };
/** @param {string} name @param {unknown} content */
const write = (name, content) =>
  writeFileSync(path.join(ROOT, 'src/app/lesson', name), `${JSON.stringify(content).replaceAll('],[', '],\n[')}\n`);
write('recording.json', { ...head, events: told });
write('preview.json', { ...head, events: preview(told) });
console.log(`${told.length} events, ${head.about.seconds} s, ${head.about.adapter}`);
