// resultsCurves.test.ts: the curves of stored runs, drawn: thousands of steps thinned to the screen and whole in CSV; several runs over
// one another, each told apart without colour; SVG and PNG that need nothing of the page; and hostile names as text.
import { flushSync } from 'svelte';
import { afterEach, expect, it } from 'vitest';
import ResultsPlace from '../../src/app/places/ResultsPlace.svelte';
import type { StoredRun } from '../../src/session/protocol';
import { FakeSession, button, removePages, settle, show } from './fakePage';

afterEach(removePages);

const STEPS = 4000;
const HOSTILE = '<img src=x onerror="globalThis.hit=1">';
const lines = (offset: number): Uint8Array =>
  new TextEncoder().encode(
    Array.from({ length: STEPS }, (_, i) => {
      const value = Math.exp(-i / 900) + 0.05 * Math.sin(i * 12.9898 + offset) + 0.1 * offset;
      return `${JSON.stringify({ phase: 'instruct', step: i + 1, totalSteps: STEPS, loss: value, learning_rate: 1e-4 })}\n`;
    }).join(''),
  );
const run = (n: number): StoredRun => ({
  runId: `run-${n}`,
  name: n === 1 ? HOSTILE : 'Smoke',
  state: 'finished',
  phase: 'report',
  step: 0,
  updatedAt: `2026-01-02T03:04:0${n}Z`,
  sizeBytes: 0,
});

class CurveSession extends FakeSession {
  override stored = Array.from({ length: 9 }, (_, i) => run(i));
  override details = { curves: [{ phase: 'instruct' as const, step: 1, totalSteps: STEPS, values: { loss: 1 } }] };
  override artefact = (runId: string): Promise<Uint8Array> => Promise.resolve(lines(Number(runId.slice(4))));
}

async function page(query: string) {
  const saved = new Map<string, Uint8Array>();
  const more = { save: (name: string, bytes: Uint8Array) => void saved.set(name, bytes) };
  const shown = show(new CurveSession(), query, more, ResultsPlace);
  await shown.playground.open();
  flushSync();
  const until = async (is: () => boolean, what: string): Promise<void> => {
    for (let i = 0; i < 400 && !is(); i++) await settle();
    expect(is(), what).toBe(true);
  };
  const press = (name: string): void => {
    button(shown.root, name).click();
    flushSync();
  };
  return { ...shown, saved, until, press };
}
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const plotPaths = (svg: ParentNode): SVGPathElement[] => [
  ...svg.querySelectorAll<SVGPathElement>('g[aria-label="line"] path'),
];

it('of one run are thinned to what is shown; SVG, PNG and CSV are whole', async () => {
  const { root, saved, until, press } = await page('?place=results&view=run&item=run-0');
  const panel = (): HTMLElement => root.querySelector<HTMLElement>('[aria-labelledby="run-curves-title"]')!;
  await until(() => panel()?.querySelectorAll('.box svg').length === 2, 'two figures');
  const figure = panel().querySelector('figure')!;
  const [path] = plotPaths(figure);
  const points = path!.getAttribute('d')!.split('L').length;
  const width = figure.querySelector('.box')!.clientWidth;
  expect(points).toBeGreaterThan(width / 2);
  expect(points).toBeLessThan(STEPS / 2);

  press('CSV of Loss');
  await until(() => saved.size === 1, 'a table');
  press('SVG of Loss');
  await until(() => saved.size === 2, 'a drawing');
  expect(text(saved.get('run-0-curve-instruction-tuning-loss.csv')).trim().split('\r\n')).toHaveLength(1 + STEPS);
  const svg = text(saved.get('run-0-curve-instruction-tuning-loss.svg'));
  const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml');
  expect(parsed.querySelector('parsererror')).toBeNull();
  expect(svg).not.toMatch(/var\(|currentColor|light-dark|<style|href=|url\(/);
  press('PNG of Loss');
  await until(() => saved.size === 3, 'a picture');
  const png = saved.get('run-0-curve-instruction-tuning-loss.png')!;
  const bitmap = await createImageBitmap(new Blob([png.slice()], { type: 'image/png' }));
  expect(bitmap.width).toBe(1600);
});

it('of eight runs lie over one another, each with a number and a stroke of its own; a ninth is said to be too many', async () => {
  const ids = Array.from({ length: 9 }, (_, i) => `run-${i}`).join(',');
  const { root, until, text: shown } = await page(`?place=results&run=${ids}`);
  const panel = root.querySelector<HTMLElement>('[aria-labelledby="curves-title"]')!;
  panel.querySelector('summary')!.click();
  await until(() => panel.querySelector('.box svg') !== null, 'a figure');
  expect(shown()).toContain('The first 8 of the 9 chosen');
  const svg = panel.querySelector('.box svg')!;
  const drawn = plotPaths(svg);
  expect(drawn).toHaveLength(8);
  const strokeOf = (path: Element): string =>
    path.getAttribute('stroke-dasharray') ?? path.closest('[stroke-dasharray]')?.getAttribute('stroke-dasharray') ?? '';
  expect(new Set(drawn.map(strokeOf)).size).toBe(8);
  // Their numbers stand on the lines, twice each, and before their names in the legend.
  const marks = [...svg.querySelectorAll('g[aria-label="text"] text')].map((one) => one.textContent);
  for (let n = 1; n <= 8; n++) expect(marks.filter((mark) => mark === String(n)).length, `number ${n}`).toBe(2);
  const legend = [...svg.querySelectorAll('g:first-child > text')].map((one) => one.textContent);
  expect(legend).toEqual(expect.arrayContaining(['1 Smoke', `2 ${HOSTILE}`, '8 Smoke']));
  const strokes = [...svg.querySelectorAll('g:first-child > line')].map((one) => one.getAttribute('stroke-dasharray'));
  expect(strokes.slice(0, 8)).toEqual(drawn.map((path) => strokeOf(path) || null));
  expect(root.querySelector('img')).toBeNull();
  expect('hit' in globalThis).toBe(false);
});

it('are asked for by choosing runs', async () => {
  const { root } = await page('?place=results&run=run-1');
  expect(root.querySelector<HTMLElement>('[aria-labelledby="curves-title"]')!.innerText).toContain(
    'Choose two to 8 runs',
  );
});
