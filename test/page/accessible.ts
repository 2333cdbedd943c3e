// accessible.ts: axe-core on an open page, and whether anything is wider than the window. Tests only.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { ROOT } from '../../scripts/build.mjs';

const AXE = readFileSync(path.join(ROOT, 'node_modules', 'axe-core', 'axe.min.js'), 'utf8');

interface AxeNode {
  target: string[];
  html: string;
  any: { message: string }[];
}
interface AxeResults {
  violations: { id: string; help: string; nodes: AxeNode[] }[];
}

/** Violations of WCAG 2.2 A and AA and of axe's best practices, one line each; and what sticks out of the window. */
export async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(AXE); // by the debugger's port: the page's policy forbids scripts that are put into it
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run: (root: Document, options: object) => Promise<AxeResults> } }).axe.run(
      document,
      {
        resultTypes: ['violations'],
      },
    ),
  );
  const lines = violations.flatMap(({ id, help, nodes }) =>
    nodes
      .slice(0, 5)
      .map(({ target, any, html }) => `${id}: ${help}: ${target.join(' ')}: ${any[0]?.message ?? html.slice(0, 120)}`),
  );
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  return wider > 0 ? [...lines, `the page is ${wider} px wider than its window`] : lines;
}

/** The three sizes of the project, each light and dark. */
export const LOOKS = [
  { name: 'phone', width: 390, height: 844 },
  { name: 'laptop', width: 1280, height: 800 },
  { name: 'desktop', width: 1920, height: 1080 },
].flatMap((size) => (['light', 'dark'] as const).map((scheme) => ({ ...size, scheme })));

/** The same in projector mode with the system's own colours forced, as in high contrast; the page is left light and plain. */
export async function faultsInARoom(page: Page): Promise<string[]> {
  const projector = page.getByRole('button', { name: 'Projector' });
  await page.emulateMedia({ colorScheme: 'dark', forcedColors: 'active' });
  await projector.click();
  const faults = await faultsOf(page);
  await projector.click();
  await page.emulateMedia({ colorScheme: 'light', forcedColors: 'none' });
  return faults.map((fault) => `projector, forced colours: ${fault}`);
}
