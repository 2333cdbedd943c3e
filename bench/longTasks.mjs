#!/usr/bin/env node
// longTasks.mjs: what keeps the built page's main thread busy for 50 ms and longer (PerformanceObserver, `longtask`) while it
// trains: it opens the Lab in headless Chromium on SwiftShader, runs an experiment to its end, and prints one JSON line. It
// measures the page, not the training, whose work is in a worker.
//
//     node bench/longTasks.mjs [--experiment ID] [--page FOLDER]
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { browserFlags, ensureBrowser } from '../scripts/browser.mjs';
import { buildIfStale, ROOT } from '../scripts/build.mjs';
import { folderHandler, serve } from '../scripts/staticServer.mjs';

const { values } = parseArgs({
  options: { experiment: { type: 'string', default: 'smoke' }, page: { type: 'string' } },
});
if (values.page === undefined) buildIfStale('page');
const server = await serve(folderHandler(values.page ?? path.join(ROOT, 'dist', 'page')), { port: 0 });
const browser = await chromium.launch({
  executablePath: await ensureBrowser(),
  headless: false, // --headless=new is among the flags
  args: browserFlags({ gpu: 'software' }),
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.addInitScript(() => {
    /** @type {{ startMs: number, ms: number }[]} */
    const tasks = [];
    Object.assign(globalThis, { longTasks: tasks });
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) tasks.push({ startMs: startTime, ms: duration });
    }).observe({ entryTypes: ['longtask'] });
  });
  await page.goto(`http://127.0.0.1:${server.port}/?place=lab&experiment=${values.experiment}`);
  await page.waitForFunction(() => document.querySelector('.dot.ready') !== null, undefined, { timeout: 120_000 });
  const run = page.getByRole('button', { name: 'Run', exact: true });
  const startMs = await page.evaluate(() => performance.now());
  await run.click();
  await page.getByRole('button', { name: 'Open report', exact: true }).waitFor({ timeout: 1_800_000 });
  const endMs = await page.evaluate(() => performance.now());
  const tasks = await page.evaluate(
    () =>
      /** @type {{ longTasks: { startMs: number, ms: number }[] }} */ (/** @type {unknown} */ (globalThis)).longTasks,
  );
  const during = tasks.filter((task) => task.startMs >= startMs).map(({ ms }) => Math.round(ms));
  console.log(
    JSON.stringify({
      experiment: values.experiment,
      browser: browser.version(),
      cores: os.cpus().length,
      load: os.loadavg()[0],
      seconds: Math.round((endMs - startMs) / 100) / 10,
      beforeTheRun: tasks.length - during.length,
      longTasks: during.length,
      longestMs: Math.max(0, ...during),
      sumMs: during.reduce((sum, ms) => sum + ms, 0),
      milliseconds: during,
    }),
  );
} finally {
  await browser.close();
  await server.close();
}
