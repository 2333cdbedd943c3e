#!/usr/bin/env node
// longTasks.mjs: what keeps the built page's main thread busy for 50 ms and longer, from a Chromium trace: while it trains (it
// opens the Lab in headless Chromium and runs an experiment to its end), or when a run's answers are first looked at. It
// prints one JSON line with each long task, its time on the clock and of a processor, and what it did. It measures the page,
// not the training, whose work is in a worker.
//
//     node bench/longTasks.mjs [--experiment ID | --answers COUNT] [--page FOLDER] [--gpu software|vulkan|native]
//                              [--functions] [--trace FILE]
//
// --answers: a made run with so many answers of six systems is shown in Inside. --functions samples functions as well (the
// sampling takes some time itself; a page built with --minify false names them). --trace keeps the trace, for the
// Performance panel.
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { browserFlags, ensureBrowser, GPU_MODES } from '../scripts/browser.mjs';
import { buildIfStale, ROOT } from '../scripts/build.mjs';
import { folderHandler, serve } from '../scripts/staticServer.mjs';
import { CATEGORIES, FUNCTION_CATEGORIES, longTasks } from './longTaskTrace.mjs';
import { putAnswers } from './madeAnswers.mjs';

const { values } = parseArgs({
  options: {
    experiment: { type: 'string', default: 'smoke' },
    answers: { type: 'string' },
    page: { type: 'string' },
    gpu: { type: 'string', default: 'software' },
    functions: { type: 'boolean', default: false },
    trace: { type: 'string' },
  },
});
const gpu = GPU_MODES.find((mode) => mode === values.gpu);
if (gpu === undefined) throw new Error(`--gpu: expected ${GPU_MODES.join(', ')}, got ${values.gpu}`);
const [FROM, TO] = ['pupil-bench-begins', 'pupil-bench-ended'];

if (values.page === undefined) buildIfStale('page');
const server = await serve(folderHandler(values.page ?? path.join(ROOT, 'dist', 'page')), { port: 0 });
const address = `http://127.0.0.1:${server.port}/`;
const browser = await chromium.launch({
  executablePath: await ensureBrowser(),
  headless: false, // --headless=new is among the flags
  args: browserFlags({ gpu }),
});
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
const ready = () =>
  page.waitForFunction(() => document.querySelector('.dot.ready') !== null, undefined, { timeout: 120_000 });
const mark = (/** @type {string} */ name) =>
  page.evaluate((text) => {
    performance.mark(text);
    return performance.now();
  }, name);

/** From the click on Run to what is drawn at its end. */
async function training() {
  await page.goto(`${address}?place=lab&experiment=${values.experiment}`);
  await ready();
  const startMs = await mark(FROM);
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('button', { name: 'Open report', exact: true }).waitFor({ timeout: 1_800_000 });
  return startMs;
}

/** From the click on a view of Inside to its list, and one search in it. */
async function answers() {
  await page.goto(`${address}?place=inside&view=check`);
  await ready();
  await putAnswers(page, Number(values.answers));
  await page.reload();
  await ready();
  const startMs = await mark(FROM);
  await page.getByRole('navigation', { name: 'Views of Inside' }).getByRole('link', { name: 'Answers' }).click();
  await page.locator('.inside-view [role=option]').first().waitFor({ timeout: 120_000 });
  await page.getByRole('searchbox', { name: 'Search' }).fill('seven');
  return startMs;
}

try {
  const categories = [...CATEGORIES, ...(values.functions ? FUNCTION_CATEGORIES : [])];
  await browser.startTracing(page, { categories });
  const startMs = await (values.answers === undefined ? training() : answers());
  await page.waitForTimeout(1000); // what is drawn when it has ended belongs to it
  const endMs = await mark(TO);
  const trace = await browser.stopTracing();
  if (values.trace !== undefined) await writeFile(values.trace, trace);
  const events = JSON.parse(trace.toString('utf8')).traceEvents;
  const tasks = longTasks(events, { from: FROM, to: TO });
  console.log(
    JSON.stringify({
      ...(values.answers === undefined ? { experiment: values.experiment } : { answers: Number(values.answers) }),
      browser: browser.version(),
      gpu,
      cores: os.cpus().length,
      load: os.loadavg()[0],
      seconds: Math.round((endMs - startMs) / 100) / 10,
      longTasks: tasks.length,
      longTasksOfAProcessor: tasks.filter(({ cpuMs }) => cpuMs >= 50).length,
      longestMs: Math.max(0, ...tasks.map(({ ms }) => ms)),
      longestCpuMs: Math.max(0, ...tasks.map(({ cpuMs }) => cpuMs)),
      sumMs: tasks.reduce((sum, { ms }) => sum + ms, 0),
      sumCpuMs: tasks.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
      tasks,
    }),
  );
} finally {
  await browser.close();
  await server.close();
}
