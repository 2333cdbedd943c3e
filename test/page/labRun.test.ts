// labRun.test.ts: an experiment in the built page from choosing it to having it back: changed by the form, run, paused, left by a
// reload, resumed, looked at in every place, saved as a zip, deleted, imported again. What the numbers are is for other tests.
import { readFile } from 'node:fs/promises';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsInARoom, faultsOf, LOOKS } from './accessible';
import { finished, inPhase, mainButton, ready, tableOf } from './labPlace';
import { visit, type Visit } from './openPage';

const SEED = 5;
const LEARNING_RATE = 0.0009;
const LOOKED_AT = LOOKS.filter(
  ({ name, scheme }) => (name === 'laptop' && scheme === 'light') || (name === 'phone' && scheme === 'dark'),
);

describe('an experiment of the Lab', { timeout: 600_000 }, () => {
  let visited: Visit;
  /** Of the run, as the list of stored runs calls it in its links. */
  let runId = '';
  let table: string[] = [];
  let zipFile = '';
  beforeAll(async () => {
    visited = await visit();
  });
  afterAll(() => visited.end());

  it('is changed by the form, and the change is in Differences and in the address', async () => {
    const { page, address } = visited;
    await page.goto(`${address}?place=lab`);
    await page.getByLabel('Experiment to run').selectOption('smoke');
    const find = page.getByRole('searchbox', { name: 'Find a setting' });
    await find.fill('learning rate');
    await page.locator('[data-path="phases.instruct.learningRate"] input').fill(String(LEARNING_RATE));
    await find.fill('seed');
    await page.locator('[data-path="seed"] input').fill(String(SEED));
    await find.fill('');
    await page.getByText('2 settings changed by you').click();
    const differences = page.getByRole('region', { name: 'Differences' });
    const changed = await differences.locator('tbody tr').allInnerTexts();
    expect(changed.map((row) => row.replace(/\s+/g, ' '))).toEqual([
      expect.stringContaining('seed 0 5'),
      expect.stringContaining('phases.instruct.learningRate 8e-4 9e-4'),
    ]);
    await page.waitForFunction(() => new URL(location.href).searchParams.has('changes'));
    expect(new URL(page.url()).searchParams.get('experiment')).toBe('smoke');
    expect(new URL(page.url()).searchParams.get('seed')).toBe(String(SEED));
  });

  it('is paused while it learns, and its page offers to resume it after a reload', async () => {
    const { page, problems } = visited;
    await ready(page);
    await mainButton(page, 'Run').click();
    await inPhase(page, 'Instruction-tuning');
    await mainButton(page, 'Pause').click();
    await mainButton(page, 'Resume').waitFor({ timeout: 120_000 });
    await page.getByText(/^Instruction-tuning step \d+/).waitFor(); // its last checkpoint
    page.once('dialog', (dialog) => void dialog.accept()); // the page asks whether it may be left
    await page.reload();
    const band = page.getByRole('region', { name: 'An interrupted run' });
    await band.getByText('was interrupted').waitFor();
    expect(await page.getByText('2 settings changed by you').count()).toBe(1);
    await ready(page);
    await band.getByRole('button', { name: 'Resume it' }).click();
    await finished(page);
    table = await tableOf(page.getByRole('region', { name: 'Results', exact: true }));
    expect(table.filter((row) => /^(Baseline|Instruction-tuned|Self-refined)/.test(row)).length).toBeGreaterThan(5);
    expect(problems).toEqual([]);
  });

  it('is saved whole: its report has the changed values and what the page showed', async () => {
    const { page, address } = visited;
    await page.goto(`${address}?place=results`);
    const link = page.locator('a[href*="item="]').first();
    runId = new URL((await link.getAttribute('href'))!, address).searchParams.get('item')!;
    await link.click();
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Everything as a zip' }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toMatch(/\.zip$/);
    zipFile = await download.path();
    const files = unzipSync(await readFile(zipFile));
    const names = Object.keys(files);
    const report = names.find((name) => /(^|\/)report\.json$/.test(name));
    expect(names.filter((name) => /report\.html$|pairs\.jsonl$|adapter_model\.safetensors$/.test(name)).length).toBe(4);
    const { experiment, evaluations } = JSON.parse(new TextDecoder().decode(files[report!])) as {
      experiment: { seed: number; phases: { instruct: { learningRate: number } } };
      evaluations: unknown[];
    };
    expect(experiment.seed).toBe(SEED);
    expect(experiment.phases.instruct.learningRate).toBe(LEARNING_RATE);
    const shown = await tableOf(page.getByRole('region', { name: 'Results of this run' }));
    const systems = shown.filter((row) => /\d/.test(row));
    expect(systems.length).toBe(evaluations.length);
    table = shown;
  });

  it.each([
    ['lesson', ''],
    ['lab', ''],
    ['results', ''],
    ['results', 'run'],
    ...['pairs', 'demonstrations', 'generations', 'weights', 'kernels', 'check'].map((view) => ['inside', view]),
  ] as [string, string][])('has no fault where it is looked at: %s %s', async (place, view) => {
    const { page, address, problems } = visited;
    const faults: string[] = [];
    await page.goto(`${address}?place=${place}&view=${view}&${view === 'run' ? 'item' : 'run'}=${runId}`);
    await page.waitForFunction(() => document.querySelector('.loading') === null);
    if (place !== 'lesson') await ready(page);
    await page.locator('main section h2').first().waitFor();
    await page.waitForLoadState('networkidle');
    if (place === 'inside' && view !== 'check') expect(await page.getByText('No run yet').count()).toBe(0);
    for (const { name, width, height, scheme } of LOOKED_AT) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      faults.push(...(await faultsOf(page)).map((fault) => `${name} ${scheme}: ${fault}`));
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    faults.push(...(await faultsInARoom(page)));
    expect(faults).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('is deleted, and imported from its zip with the same table', async () => {
    const { page, address, problems } = visited;
    await page.goto(`${address}?place=results`);
    await ready(page);
    await page.getByRole('button', { name: /^Delete / }).click();
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await page.getByText('Runs are checkpointed in this browser.').waitFor();
    await page.getByText('Import a run').click();
    await page.getByLabel(/^A zip, or a report\.json/).setInputFiles({
      name: 'smoke.zip',
      mimeType: 'application/zip',
      buffer: await readFile(zipFile),
    });
    await page.getByText('Imported:').waitFor();
    await page.locator(`a[href*="item=${runId}"]`).first().click();
    const results = page.getByRole('region', { name: 'Results of this run' });
    await results.locator('table').waitFor();
    expect(await tableOf(results)).toEqual(table);
    expect(problems).toEqual([]);
  });
});
