// board.test.ts: the board's page in headless Chromium: what a job is called is text, it follows the queue, nothing is wider
// than the window, axe-core finds nothing, and only this machine is answered.
import { request } from 'node:http';
import { chromium } from 'playwright-core';
import { expect, it } from 'vitest';
import { ensureBrowser } from '../../scripts/browser.mjs';
import { serveBoard } from '../../src/cli/full/boardServer';
import type { Board, BoardRow } from '../../src/cli/full/boardState';
import { faultsOf, LOOKS } from './accessible';

const HOSTILE = '<img src=x onerror="document.title=1">';
const rows: BoardRow[] = [
  {
    id: 'baseline-1',
    kind: 'baseline',
    title: 'baseline for 8 runs (p10, 25 %, seed 0)',
    state: 'finished',
    begun: 1,
    seconds: 754,
    where: 'gpu-box-1, GPU 0',
  },
  {
    id: 'instruct-1',
    kind: 'instruct',
    title: 'phase 1 for 2 runs (p10, 25 %, seed 0 and others)',
    state: 'running',
    begun: 2,
    share: 0.42,
    doing: 'instruct, 420 of 1000 steps',
    tokensPerSecond: 1834,
    secondsLeft: 5400,
    where: 'gpu-box-1, GPU 2',
  },
  {
    id: 'cell-1',
    kind: 'cell',
    title: 'p10, 25 %, both, seed 0',
    state: 'blocked',
    begun: 0,
    why: 'waits for instruct-1 (running)',
  },
  {
    id: 'cell-2',
    kind: 'cell',
    title: HOSTILE,
    state: 'failed',
    begun: 3,
    why: `training: ${HOSTILE}\n${'x'.repeat(300)}`,
  },
  {
    id: 'cell-3',
    kind: 'cell',
    title: 'p8, 50 %, both, seed 1',
    state: 'delayed',
    begun: 1,
    why: 'tried again after: the browser was closed',
  },
  { id: 'cell-4', kind: 'cell', title: 'p8, 50 %, cross, seed 1', state: 'cancelled', begun: 0, why: 'cancelled' },
];
const board: Board = {
  ...{ namespace: 'paper', paused: false, stopping: false, at: '2026-01-01T12:00:00Z', workers: ['gpu-box-1-4242'] },
  grids: [
    {
      ...{
        grid: 'paper',
        name: 'Table 1, Llama 2 7B',
        runs: 4,
        finished: 0,
        table: 'blocked',
        secondsLeft: 86_400,
        rows,
      },
      counts: { running: 1, waiting: 0, delayed: 1, blocked: 1, finished: 1, failed: 1, cancelled: 1 },
    },
  ],
};

it('the board as a page: live, readable at every size, and text stays text', { timeout: 180_000 }, async () => {
  const server = await serveBoard(0);
  const browser = await chromium.launch({
    executablePath: await ensureBrowser(),
    headless: false, // by its own flag
    args: ['--headless=new', '--no-sandbox', '--disable-gpu'],
  });
  try {
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    server.show(board);
    await page.goto(server.url);
    await page.getByText('Table 1, Llama 2 7B').waitFor();
    expect(await page.locator('tbody tr').count()).toBe(rows.length);
    expect(await page.getByText(HOSTILE, { exact: true }).count()).toBe(1);
    expect(await page.locator('img').count()).toBe(0);
    for (const { name, width, height, scheme } of LOOKS) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      expect(await faultsOf(page), `${name}, ${scheme}`).toEqual([]);
    }
    server.show({ ...board, paused: true, grids: [{ ...board.grids[0]!, rows: rows.slice(0, 1) }] });
    await page.getByText('paper (paused, running jobs go on)').waitFor();
    expect(await page.locator('tbody tr').count()).toBe(1);
    server.show({ ...board, grids: [] });
    await page.getByText('No grid is in this queue').waitFor();
    expect(problems).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
});

it('answers only who asks for this machine by its name', async () => {
  const server = await serveBoard(0);
  const asked = (path: string, host: string): Promise<{ status: number; policy: string }> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(server.url);
      const sent = request({ port, path, host: '127.0.0.1', headers: { Host: host } }, (answer) => {
        answer.resume();
        resolve({ status: answer.statusCode!, policy: String(answer.headers['content-security-policy']) });
      });
      sent.on('error', reject);
      sent.end();
    });
  expect((await asked('/', 'evil.example:80')).status).toBe(403);
  expect((await asked('/events', 'evil.example')).status).toBe(403);
  expect((await asked('/../package.json', 'localhost')).status).toBe(404);
  const { status, policy } = await asked('/', 'localhost');
  expect(status).toBe(200);
  expect(policy).toContain("default-src 'none'; script-src 'self'");
  await server.close();
});
