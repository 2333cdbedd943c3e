// noGpu.test.ts: the built page in a browser that offers no WebGPU: what it says to enable in this very browser, that everything
// else can be looked at, and that the recording of the lesson plays to its end.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsOf } from './accessible';
import { tableOf } from './labPlace';
import { visit, type Visit } from './openPage';

describe('without WebGPU', () => {
  let visited: Visit;
  beforeAll(async () => {
    visited = await visit({ withoutGpu: true });
    await visited.page.goto(visited.address);
  });
  afterAll(() => visited.end());

  it('says so at once, and what to enable in this very browser', async () => {
    const { page, problems } = visited;
    expect(await page.evaluate(() => 'gpu' in navigator)).toBe(false);
    const advice = page.getByRole('alert', { name: 'This browser gives no usable GPU' });
    await advice.waitFor();
    const version = await page.evaluate(() => /Chrome\/(\d+)/.exec(navigator.userAgent)![1]!);
    expect(await advice.innerText()).toMatch(new RegExp(`Chrome ${version}.* does not offer it here`));
    expect(await advice.locator('code').allInnerTexts()).toEqual(
      expect.arrayContaining([expect.stringMatching(/^chrome:\/\//)]),
    );
    expect(await page.getByRole('button', { name: 'Start the lesson' }).isDisabled()).toBe(true);
    expect(await faultsOf(page)).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('plays the recording to its end, with the table of the run that was recorded', async () => {
    const { page, problems } = visited;
    await page.getByRole('button', { name: 'Watch a recording' }).click();
    await page.getByLabel('Speed').selectOption('fastest');
    const place = page.getByRole('slider', { name: 'Place in the recording' });
    const total = Number(await place.getAttribute('max'));
    // Its middle is left out here: each stage is gone to, and plays for a moment.
    await page.waitForFunction(() => Number(document.querySelector<HTMLInputElement>('.scrub input')!.value) > 2000);
    for (const share of [0.25, 0.5, 0.75]) {
      await place.fill(String(Math.round((share * total) / 500) * 500));
      await page.waitForFunction(
        (atMs) => Number(document.querySelector<HTMLInputElement>('.scrub input')!.value) > atMs + 1000,
        share * total,
      );
    }
    await place.fill(String(Math.floor((total - 8000) / 500) * 500));
    await page.getByRole('button', { name: 'Watch again' }).waitFor();
    expect(Number(await place.inputValue())).toBeGreaterThan(total - 501);
    const rows = await tableOf(page.locator('.stage'));
    expect(rows.filter((row) => /^Self-refined .*\d %/.test(row)).length).toBeGreaterThan(0);
    expect(await faultsOf(page)).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('opens every other place, where nothing can be run', async () => {
    const { page, address, problems } = visited;
    for (const place of ['lab', 'inside', 'results']) {
      await page.goto(`${address}?place=${place}`);
      await page.waitForFunction(() => document.querySelector('.loading') === null);
      await page.getByRole('alert', { name: 'This browser gives no usable GPU' }).waitFor();
    }
    await page.goto(`${address}?place=lab`);
    expect(await page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true);
    expect(problems).toEqual([]);
  });
});
