// runExport.test.ts: a run imported into the built page leaves it again as what other programs read: its adapter merged into the
// student's weights, as GGUF, and alone, each the same to the byte as `pupil export` writes it from the same files.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unzipSync, zipSync } from 'fflate';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { main } from '../../src/cli/program';
import { Kept } from '../cli/fakeSession';
import { LESSON_SIZES, runFiles, runReport } from '../support/runFiles';
import { ready } from './labPlace';
import { visit, type Visit } from './openPage';

let visited: Visit;
let folder: string;
beforeAll(async () => {
  visited = await visit();
  folder = mkdtempSync(join(tmpdir(), 'pupil-run-export-'));
});
afterAll(async () => {
  await visited.end();
  rmSync(folder, { recursive: true, force: true });
});

const files = runFiles(runReport(), LESSON_SIZES);

/** What the command line makes of the same adapter. */
async function exportedByCommand(format: string): Promise<Record<string, Uint8Array>> {
  const adapter = join(folder, 'instruct');
  for (const [path, bytes] of Object.entries(files)) {
    if (!path.startsWith('adapters/instruct/')) continue;
    const file = join(adapter, path.slice('adapters/instruct/'.length));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  const out = join(folder, format);
  const err = new Kept();
  const args = ['export', '--student', 'lesson', '--adapter', adapter, '--format', format, '--out', out];
  const code = await main([...args, '--host', 'node'], {}, { out: new Kept(), err });
  expect(code, err.text).toBe(0);
  return Object.fromEntries(readdirSync(out).map((name) => [name, new Uint8Array(readFileSync(join(out, name)))]));
}

it('merged, as GGUF, and as GGUF of the adapter alone', { timeout: 300_000 }, async () => {
  const { page, address, problems } = visited;
  await page.goto(`${address}?place=results`);
  await ready(page);
  await page.getByText('Import a run', { exact: true }).click();
  const zip = Buffer.from(zipSync(files));
  await page
    .locator('input[accept=".zip,.json"]')
    .setInputFiles({ name: 'smoke-1.zip', mimeType: 'application/zip', buffer: zip });
  await page.getByText('Imported:').waitFor();
  await page.getByRole('link', { name: 'Smoke', exact: true }).first().click();

  const saved = async (label: string): Promise<Uint8Array> => {
    const [download] = await Promise.all([
      page.waitForEvent('download', { timeout: 120_000 }),
      page.getByRole('button', { name: `Save adapter instruct: ${label}` }).click(),
    ]);
    return new Uint8Array(readFileSync(await download.path()));
  };
  const merged = unzipSync(await saved('merged, safetensors'));
  const inFolder = Object.entries(merged).map(([path, bytes]) => [path.split('/').slice(1).join('/'), bytes]);
  const same = (there: Uint8Array, here: Uint8Array | undefined, name: string): void =>
    expect(here !== undefined && Buffer.from(here).equals(there), `${name}: the same bytes`).toBe(true);

  const expected = await exportedByCommand('merged');
  expect(inFolder.map(([name]) => name).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, bytes] of inFolder as [string, Uint8Array][]) same(bytes, expected[name], name);
  for (const [format, label] of [
    ['gguf', 'merged, GGUF'],
    ['gguf-adapter', 'adapter, GGUF'],
  ] as const) {
    const [[name, bytes] = ['', new Uint8Array(0)], ...others] = Object.entries(await exportedByCommand(format));
    expect([name.endsWith('.gguf'), others]).toEqual([true, []]);
    same(bytes, await saved(label), name);
  }
  expect(await page.getByRole('alert').count()).toBe(0);
  expect(problems).toEqual([]);
});
