// firstLoad.test.ts: what a first visit costs and allows: the budget of JavaScript before the lesson starts, headers and policy,
// and the page without a network afterwards.
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { visit, type Visit } from './openPage';

/** Compressed bytes before anything is started (150 kB of scripts is the promise; the others keep what there is from growing). */
const BUDGET = { script: 150_000, style: 20_000, requests: 25 };

describe('the first visit', () => {
  let it1: Visit;
  beforeAll(async () => {
    it1 = await visit();
  });
  afterAll(() => it1.end());

  it('fetches less than 150 kB of compressed JavaScript, no worker and no student, and shows the lesson', async () => {
    const { page, address, problems } = it1;
    // Without the service worker, which fetches ahead for later: what the page itself asks for.
    await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'serviceWorker'));
    const fetched: { url: string; type: string; bytes: number }[] = [];
    page.on('response', (response) => {
      const read = response.body().then((body) => {
        fetched.push({
          url: response.url(),
          type: response.request().resourceType(),
          bytes: gzipSync(body).byteLength,
        });
      });
      reading.push(read);
    });
    const reading: Promise<void>[] = [];
    const response = await page.goto(address, { waitUntil: 'networkidle' });
    await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Lesson' }).waitFor();
    await page.waitForSelector('main section');
    await Promise.all(reading);
    const sum = (type: string): number =>
      fetched.filter((one) => one.type === type).reduce((total, one) => total + one.bytes, 0);
    expect(sum('script')).toBeGreaterThan(10_000);
    expect(sum('script'), JSON.stringify(fetched)).toBeLessThan(BUDGET.script);
    expect(sum('stylesheet')).toBeLessThan(BUDGET.style);
    expect(fetched.length).toBeLessThanOrEqual(BUDGET.requests);
    expect(page.workers()).toEqual([]);
    expect(response?.headers()['content-security-policy']).toContain("script-src 'self' 'wasm-unsafe-eval'");
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(problems).toEqual([]);
  });

  it('runs no script that is put into the page, and allows no eval', async () => {
    const { page } = it1;
    const ran = await page.evaluate(async () => {
      const script = document.createElement('script');
      script.textContent = 'window.injected = true';
      document.head.append(script);
      const image = document.createElement('div');
      image.innerHTML = '<img src="x" onerror="window.injected = true">';
      document.body.append(image);
      await new Promise((resolve) => setTimeout(resolve, 200));
      let evaluated = true;
      try {
        new Function('return 1')();
      } catch {
        evaluated = false;
      }
      image.remove();
      return { injected: 'injected' in window, evaluated };
    });
    expect(ran).toEqual({ injected: false, evaluated: false });
  });
});

describe('the second visit', () => {
  let it2: Visit;
  beforeAll(async () => {
    it2 = await visit();
  });
  afterAll(() => it2.end());

  it('needs no network: every place opens, and the student that comes with the page is read', async () => {
    const { page, address, problems } = it2;
    await page.goto(address);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await it2.stopServing();
    await page.goto(`${address}?seed=3`);
    for (const name of ['Lesson', 'Lab', 'Inside', 'Results']) {
      await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name }).click();
      await page.waitForFunction((title) => document.title.startsWith(title), name);
      await page.waitForFunction(() => document.querySelector('.loading') === null);
    }
    // Ranges of a file that was fetched ahead, as students are read.
    const part = await page.evaluate(async () => {
      const response = await fetch('students/lesson/model.safetensors', { headers: { range: 'bytes=8-15' } });
      return { status: response.status, length: (await response.arrayBuffer()).byteLength };
    });
    expect(part).toEqual({ status: 206, length: 8 });
    const isolated = await page.evaluate(() => crossOriginIsolated);
    expect(isolated).toBe(true);
    expect(problems.filter((problem) => !/ERR_CONNECTION_REFUSED|Failed to fetch/.test(problem))).toEqual([]);
    await it2.serveAgain();
    await page.reload();
    await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Results' }).waitFor();
  });
});
