// importedRun.test.ts: a run of the command line, stopped by Ctrl-C, its folder imported into the built page: the page resumes it to the
// bits of the run that nobody disturbed, and measures its student, whose folder is of another machine to the page.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pupil } from '../cli/process';
import { folder } from '../cli/shortRun';
import { ready, RUN_MS } from '../page/labPlace';
import { visit, type Visit } from '../page/openPage';

const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')];
const SAME = [
  'adapters/instruct/adapter_model.safetensors',
  'adapters/self-refine/adapter_model.safetensors',
  'pairs.jsonl',
  'predictions.jsonl',
];

let visited: Visit;
beforeAll(async () => {
  const ended = await pupil(['run', 'smoke', '--out', whole, '--json']);
  expect(ended.code, ended.err).toBe(0);
  let asked = false;
  const broken = await pupil(['run', 'smoke', '--out', stopped, '--json'], {
    onLine: (line, signal) => {
      if (line['type'] !== 'metrics' || line['phase'] !== 'self-refine' || line['step'] !== 2 || asked) return;
      asked = true;
      signal('SIGINT');
    },
  });
  expect(broken.code, broken.err).toBe(130);
  visited = await visit();
});
afterAll(() => visited.end());

it('goes on in the page to the same adapters, pairs and answers, and its student is measured', async () => {
  const { page, address, problems } = visited;
  await page.goto(`${address}?place=results`);
  await ready(page);
  await page.getByText('Import a run', { exact: true }).click();
  await page.locator('input[webkitdirectory]').setInputFiles(stopped);
  await page.getByText('from which it can be resumed here').waitFor();
  await page.getByRole('link', { name: 'Smoke', exact: true }).first().click();
  await page.getByText('stopped, self-refine, step').waitFor();
  expect(await page.getByRole('heading', { name: 'Files of this run' }).count()).toBe(0);

  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await page.getByText('finished, report').waitFor({ timeout: RUN_MS });
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Everything as a zip' }).click(),
  ]);
  const files = Object.entries(unzipSync(new Uint8Array(readFileSync(await download.path()))));
  for (const path of SAME) {
    const bytes = files.find(([name]) => name.endsWith(`/${path}`))?.[1];
    expect(bytes !== undefined && readFileSync(join(whole, path)).equals(bytes), path).toBe(true);
  }

  await page.getByRole('link', { name: 'Look inside' }).click();
  await page.getByRole('link', { name: 'Weights' }).click();
  await page.getByRole('button', { name: 'Measure the weights' }).click();
  await page.getByRole('button', { name: 'Measure again' }).waitFor({ timeout: RUN_MS });
  expect(await page.getByRole('alert').count()).toBe(0);
  expect(problems).toEqual([]);
});
