// labPlace.ts: what a person does in the Lab of an open page, and reads from it. Tests only; what is asserted is theirs.
import type { Locator, Page } from 'playwright-core';

/** Labels of phases, as the page says them. */
export const INSTRUCT = 'Instruction-tuning';
export const PAIRS = 'Preference pairs';
export const REFINE = 'Self-refine';
export const EVALUATE = 'Evaluation';

/** A run of minutes is a failure here: `smoke` takes less than one, with the machine busy a few times that. */
export const RUN_MS = 400_000;

const controls = (page: Page): Locator => page.getByRole('group', { name: 'Run controls' });

export const mainButton = (page: Page, name: 'Run' | 'Pause' | 'Resume'): Locator =>
  controls(page).getByRole('button', { name, exact: true });

/** Waits until a device is there and nothing is going on. */
export async function ready(page: Page): Promise<void> {
  await page.locator('header .dot.ready').waitFor({ state: 'attached', timeout: 60_000 });
}

/** Waits until the run is in this phase, as its label says: "Instruction-tuning". */
export async function inPhase(page: Page, label: string, timeout = RUN_MS): Promise<void> {
  await page.locator('.phases li.current', { hasText: label }).waitFor({ timeout });
}

/** Waits until the run that goes on has finished. */
export async function finished(page: Page, timeout = RUN_MS): Promise<void> {
  await controls(page).getByRole('button', { name: 'Open report' }).waitFor({ timeout });
  await mainButton(page, 'Run').waitFor();
}

/** A table of results as text, a line a row, without the spaces between. */
export async function tableOf(panel: Locator): Promise<string[]> {
  const rows = await panel.locator('table tbody tr').allInnerTexts();
  return rows.map((row) => row.replace(/\s+/g, ' ').trim());
}
