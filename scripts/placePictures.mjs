#!/usr/bin/env node
// placePictures.mjs: pictures of the four places of the built page at three sizes, light and dark: the lesson before and after its
// recording, and, once an experiment has run, the lab, the views of Inside and Results. To be looked at; it fails where the page
// reports an error or is wider than its window.
//
//     node scripts/placePictures.mjs [--out FOLDER] [--experiment ID] [--only lesson,lab,…]
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { browserFlags, ensureBrowser } from './browser.mjs';
import { buildIfStale, ROOT } from './build.mjs';
import { folderHandler, serve } from './staticServer.mjs';

const SIZES = [
  { name: 'phone', width: 390, height: 844 },
  { name: 'laptop', width: 1280, height: 800 },
  { name: 'desktop', width: 1920, height: 1080 },
];
const RUN_MS = 1_200_000;

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: path.join(ROOT, 'dist', 'screenshots') },
    experiment: { type: 'string', default: 'smoke' },
    only: { type: 'string', default: 'lesson,lab,inside,results' },
  },
});
const only = new Set(values.only.split(','));

buildIfStale('page');
mkdirSync(values.out, { recursive: true });
const server = await serve(folderHandler(path.join(ROOT, 'dist', 'page')), { port: 0 });
const address = `http://127.0.0.1:${server.port}/`;
const browser = await chromium.launch({
  executablePath: await ensureBrowser(),
  headless: false, // --headless=new is among the flags: Playwright's own headless shell has no WebGPU
  args: [...browserFlags({ gpu: 'software' }), '--hide-scrollbars'],
});
/** @type {string[]} */
const problems = [];
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => problems.push(`script: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()}`);
  });

  /** @param {string} query */
  const open = async (query) => {
    await page.goto(`${address}?${query}`);
    await page.locator('main section').first().waitFor();
    await page.waitForFunction(() => document.querySelector('.loading') === null);
  };
  const atEase = () => page.locator('header .dot.ready').waitFor({ state: 'attached', timeout: 120_000 });
  /** @param {string} state */
  const shoot = async (state) => {
    for (const { name, width, height } of SIZES) {
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme });
        await page.waitForTimeout(400); // charts redraw on the next frames
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (wider > 0) problems.push(`${state} ${name}: the page is ${wider} px wider than its window`);
        const file = path.join(values.out, `${state}-${name}-${colorScheme}.png`);
        await page.screenshot({ path: file, fullPage: true });
        console.log(file);
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  };

  if (only.has('lesson')) {
    await open('place=lesson');
    await shoot('lesson-before');
    await page.getByRole('button', { name: 'Watch a recording' }).click();
    const at = page.getByRole('slider', { name: 'Place in the recording' });
    await at.fill((await at.getAttribute('max')) ?? '0');
    await page.getByRole('button', { name: 'Watch again' }).waitFor();
    await shoot('lesson-finished');
  }
  if (['lab', 'inside', 'results'].some((place) => only.has(place))) {
    await open(`place=lab&experiment=${values.experiment}`);
    await atEase();
    if (only.has('lab')) await shoot('lab-before');
    const controls = page.getByRole('group', { name: 'Run controls' });
    await controls.getByRole('button', { name: 'Run', exact: true }).click();
    await controls.getByRole('button', { name: 'Open report' }).waitFor({ timeout: RUN_MS });
    if (only.has('lab')) await shoot('lab-finished');
  }
  if (only.has('inside')) {
    for (const view of ['pairs', 'generations', 'kernels']) {
      await open(`place=inside&view=${view}`);
      await atEase();
      if (view === 'kernels') {
        await page.getByRole('button', { name: 'Profile one step' }).click();
        await page.getByRole('button', { name: 'Profile again' }).waitFor({ timeout: RUN_MS });
      } else await page.locator('main [role="option"]').first().waitFor({ timeout: 60_000 });
      await shoot(`inside-${view}`);
    }
  }
  if (only.has('results')) {
    await open('place=results');
    await atEase();
    await page
      .getByRole('checkbox', { name: /^Choose .* for the tables/ })
      .first()
      .check();
    await page.waitForLoadState('networkidle');
    await shoot('results');
    await page.locator('a[href*="item="]').first().click();
    await page.getByRole('button', { name: 'Everything as a zip' }).waitFor();
    await shoot('results-run');
  }
  const alerts = await page.getByRole('alert').allInnerTexts();
  problems.push(...alerts.map((text) => `page: ${text}`));
} finally {
  await browser.close();
  await server.close();
}
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
