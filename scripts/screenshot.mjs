#!/usr/bin/env node
// screenshot.mjs: opens the built page in headless Chromium, runs an experiment in it, and stores pictures of the page at
// three sizes, light and dark: to be looked at. It fails where the page reports an error, a script fails, or the page is
// wider than its window; it judges nothing else.
//
//     node scripts/screenshot.mjs [--out FOLDER] [--experiment ID] [--page FOLDER] [--no-run] [--talk] [--student FOLDER]
//
// --talk: the bundled student continues a text, and the run's students beside it where there was a run.
// --student: a model's folder, served as the Hub would as HuggingFaceTB/SmolLM2-135M-Instruct: it is planned with and without
// a budget, put into the experiment, and talked with.
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

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: path.join(ROOT, 'dist', 'screenshots') },
    experiment: { type: 'string', default: 'smoke' },
    page: { type: 'string' },
    'no-run': { type: 'boolean', default: false },
    talk: { type: 'boolean', default: false },
    student: { type: 'string' },
  },
});

if (values.page === undefined) buildIfStale('page');
const folder = values.page ?? path.join(ROOT, 'dist', 'page');
mkdirSync(values.out, { recursive: true });
const pageHandler = folderHandler(folder);
const hubHandler = values.student === undefined ? undefined : folderHandler(values.student);
const REPO = 'HuggingFaceTB/SmolLM2-135M-Instruct';
const HUB = `/hub/${REPO}/resolve/main/`;
const server = await serve(
  (request, response) => {
    const url = request.url ?? '/';
    if (hubHandler === undefined || !url.startsWith(HUB)) return pageHandler(request, response);
    request.url = url.slice(HUB.length - 1);
    return hubHandler(request, response);
  },
  { port: 0 },
);
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
  /** @param {string} state */
  const shoot = async (state) => {
    for (const { name, width, height } of SIZES) {
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme });
        await page.waitForTimeout(300); // charts redraw on the next frames
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (overflow > 0) problems.push(`${state} ${name}: the page is ${overflow} px wider than its window`);
        const file = path.join(values.out, `${state}-${name}-${colorScheme}.png`);
        await page.screenshot({ path: file, fullPage: true });
        console.log(file);
      }
    }
  };
  await page.goto(`http://127.0.0.1:${server.port}/?place=lab&experiment=${values.experiment}`, { waitUntil: 'load' });
  const run = page.getByRole('button', { name: 'Run', exact: true });
  await run.waitFor();
  if (values['no-run']) await shoot('start');
  else {
    await page.waitForFunction(() => document.querySelector('.dot.ready, .dot.unavailable') !== null);
    await shoot('start');
    await run.click({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Pause', exact: true }).waitFor({ timeout: 60_000 });
    await run.waitFor({ timeout: 1_200_000 });
    await shoot('finished');
  }
  if (values.talk) {
    const panel = page.getByRole('region', { name: 'Talk', exact: true });
    if (values['no-run']) await panel.getByRole('combobox').first().selectOption('bundled');
    const field = panel.locator('form textarea');
    await field.focus();
    await panel.getByText('has no chat template').waitFor(); // it has been looked at
    await field.fill('Question: Tom has 12 pears and buys 5 more pears. How many pears does Tom have?\nAnswer:');
    await field.press('Enter');
    await panel.locator('.token').first().waitFor({ timeout: 300_000 });
    await panel.getByRole('button', { name: 'Send' }).waitFor();
    await page.waitForFunction(() => document.querySelector('.talk [aria-busy="true"]') === null, undefined, {
      timeout: 300_000,
    });
    await panel.locator('.token').nth(2).click();
    await shoot('talk');
    await panel.screenshot({ path: path.join(values.out, 'talk-panel.png') });
  }
  if (values.student !== undefined) {
    const panel = page.locator('.student');
    await page.getByRole('button', { name: 'Change', exact: true }).click();
    await panel.getByRole('radio', { name: 'Hugging Face Hub' }).check();
    await panel.getByText('A gated or private model').click();
    await panel.getByLabel('Endpoint').fill(`http://127.0.0.1:${server.port}/hub`);
    await panel.getByText('A gated or private model').click();
    await panel.getByLabel('Model').fill(`http://127.0.0.1:${server.port}/hub/${REPO}/tree/main`);
    await panel.getByLabel('Model').press('Enter');
    await panel.locator('table').waitFor({ timeout: 60_000 });
    const setBudget = async (/** @type {string} */ text) => {
      await page.getByRole('searchbox', { name: 'Find a setting' }).fill('GPU memory at most');
      await page.getByRole('textbox', { name: 'GPU memory at most' }).fill(text);
      await page.getByRole('searchbox', { name: 'Find a setting' }).fill('');
    };
    await setBudget('50 MiB');
    await panel.locator('.verdict.too-large').waitFor();
    await shoot('student-too-large');
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ colorScheme: 'light' });
    await panel.screenshot({ path: path.join(values.out, 'student-plan.png') });
    await page.setViewportSize({ width: 390, height: 844 });
    await panel.screenshot({ path: path.join(values.out, 'student-plan-phone.png') });
    for (let i = 0; i < 9 && (await panel.locator('.verdict.fits').count()) === 0; i++) {
      await panel
        .getByRole('button', { name: /^Apply/ })
        .first()
        .click({ timeout: 10_000 });
      await page.waitForTimeout(500);
    }
    await setBudget('8 GiB');
    await panel.locator('.verdict.fits').waitFor();
    await panel.getByRole('button', { name: 'Use it in the experiment' }).click();
    await shoot('student');
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ colorScheme: 'light' });
    await panel.getByRole('button', { name: 'Talk to it' }).click();
    await page.keyboard.type('Hello');
    await page.keyboard.press('Enter');
    const talk = page.getByRole('region', { name: 'Talk', exact: true });
    await talk.locator('.token').first().waitFor({ timeout: 300_000 });
    await talk.getByRole('button', { name: 'Stop' }).click();
    await page.waitForFunction(() => document.querySelector('.talk [aria-busy="true"]') === null, undefined, {
      timeout: 300_000,
    });
    await talk.screenshot({ path: path.join(values.out, 'student-talk.png') });
    console.log(`${REPO}: ${await talk.locator('.token').count()} tokens in the talk`);
  }
  const alerts = await page.getByRole('alert').allInnerTexts();
  problems.push(...alerts.map((text) => `page: ${text}`));
} finally {
  await browser.close();
  await server.close();
}
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
