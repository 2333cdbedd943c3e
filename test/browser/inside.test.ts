// Inside's data views, mounted over a session that the test controls: thousands of rows by keyboard, filters and their counts,
// damaged lines, hostile texts, and pairs that are measured, refused and stopped.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import type { PairTokensEvent, PairTokensRequest, PairTokensSummary, ScoredSequence } from '../../src/session/protocol';
import pairsText from '../fixtures/smokeRun/pairs.jsonl?raw';
import lessonAnswers from '../fixtures/lessonRun/predictions.jsonl?raw';
import predictionsText from '../fixtures/smokeRun/predictions.jsonl?raw';
import demonstrationsText from '../fixtures/smokeRun/demonstrations.jsonl?raw';
import report from '../fixtures/smokeRun/report.json';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const jsonl = (rows: readonly unknown[]): Uint8Array => bytes(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

const stored = [{ runId: 'smoke-1', name: 'Smoke', state: 'finished' as const, phase: 'report' as const, step: 0 }].map(
  (run) => ({ ...run, updatedAt: '2026-01-02T03:04:05Z', sizeBytes: 1 }),
);

function session(files: Record<string, Uint8Array>): FakeSession {
  const fake = new FakeSession();
  fake.stored = stored;
  fake.artefacts = { 'report.json': bytes(JSON.stringify({ ...report, experiment: { phases: {} } })), ...files };
  return fake;
}

/** The page in the given view, when its list is there. */
async function opened(fake: FakeSession, query: string, waitFor = '[role=option]') {
  const page = show(fake, query);
  await page.playground.open();
  const panel = (): HTMLElement => page.root.querySelector('.inside-view')!;
  // The first view is compiled while it is waited for; what is chosen in a list is drawn a frame after the list.
  const isThere = (): boolean =>
    page.root.querySelector(`.inside-view ${waitFor}`) !== null &&
    page.root.querySelector<HTMLElement>('.inside-view .detail')?.innerText.trim() !== '…';
  for (let i = 0; i < 1000 && !isThere(); i++) await settle();
  const list = (): HTMLElement => panel().querySelector('[role=listbox]')!;
  const press = async (key: string): Promise<void> => {
    list().dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    flushSync();
    await settle();
  };
  const active = (): HTMLElement => document.getElementById(list().getAttribute('aria-activedescendant')!)!;
  const choose = async (label: string, value: string): Promise<void> => {
    const field = [...panel().querySelectorAll('label')].find((one) => one.innerText.trim().startsWith(label))!;
    const select = field.querySelector('select')!;
    select.value = value;
    select.dispatchEvent(new Event('change', { bubbles: true }));
    flushSync();
    await settle();
  };
  const status = (): string =>
    [...panel().querySelectorAll('[role=status]')].map((one) => (one as HTMLElement).innerText).join('\n');
  return { ...page, panel, list, press, active, choose, status };
}

const many = (count: number): Record<string, unknown>[] => {
  const rows = linesOf(pairsText);
  return Array.from({ length: count }, (_, i) => ({ ...rows[i % rows.length]!, itemId: `item-${i}`, sample: 0 }));
};

describe('the list of pairs', () => {
  it('holds thousands of which few are in the document; keys go through all of them', async () => {
    const page = await opened(session({ 'pairs.jsonl': jsonl(many(4200)) }), '?place=inside&run=smoke-1');
    const options = (): NodeListOf<Element> => page.list().querySelectorAll('[role=option]');
    expect(options().length).toBeLessThan(60);
    expect(page.active().getAttribute('aria-setsize')).toBe('4200');
    expect(page.active().getAttribute('aria-posinset')).toBe('1');
    await page.press('ArrowDown');
    expect(page.active().getAttribute('aria-posinset')).toBe('2');
    expect(page.active().getAttribute('aria-selected')).toBe('true');
    await page.press('PageDown');
    const paged = Number(page.active().getAttribute('aria-posinset'));
    expect(paged).toBeGreaterThan(4);
    await page.press('End');
    expect(page.active().getAttribute('aria-posinset')).toBe('4200');
    expect(page.panel().querySelector('.detail')!.textContent).toContain('item-4199');
    await page.press('ArrowDown');
    expect(page.active().getAttribute('aria-posinset')).toBe('4200');
    const [box, row] = [page.list().getBoundingClientRect(), page.active().getBoundingClientRect()];
    expect(row.top).toBeGreaterThanOrEqual(box.top - 1);
    expect(row.bottom).toBeLessThanOrEqual(box.bottom + 1);
    expect(options().length).toBeLessThan(60);
    // What is chosen is in the address when the choice rests, so that a reload shows it again.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(page.playground.address.get('item')).toBe('4199');
    // Scrolled away by wheel, the chosen row is still there for whoever uses keys.
    page.list().scrollTop = 0;
    await settle();
    await settle();
    expect(page.active().getAttribute('aria-posinset')).toBe('4200');
    await page.press('Home');
    expect(page.active().getAttribute('aria-posinset')).toBe('1');
  });

  it('is filtered by where the chosen answer comes from, by split, case and words; the address keeps it', async () => {
    const page = await opened(session({ 'pairs.jsonl': bytes(pairsText) }), '?place=inside&run=smoke-1');
    const { counts } = report.pairs;
    expect(page.status()).toContain(`${counts.pairs} of ${counts.pairs} pairs`);
    await page.choose('Chosen from', 'teacher');
    expect(page.status()).toContain(`${counts.teacher_fallback} of ${counts.pairs} pairs`);
    await page.choose('Chosen from', '');
    await page.choose('Used for', 'validation');
    expect(page.status()).toContain(`${counts.validation_pairs} of ${counts.pairs} pairs`);
    expect(page.playground.address.get('filter')).toBe('validation');
    await page.choose('Used for', '');
    const search = page.panel().querySelector<HTMLInputElement>('input[type=search]')!;
    search.value = 'nothing is like this';
    search.dispatchEvent(new Event('input', { bubbles: true }));
    await settle();
    expect(page.status()).toContain(`0 of ${counts.pairs} pairs`);
    expect(page.panel().innerText).toContain('No pair is like that');
    expect(page.panel().innerText).toContain(`${counts.prompts} prompts sampled`);
  });

  it('counts damaged lines and shows the others', async () => {
    const torn = `${pairsText.trim()}\n{"taskId": "A sto\n{"taskId": 7}\n`;
    const page = await opened(session({ 'pairs.jsonl': bytes(torn) }), '?place=inside&run=smoke-1');
    expect(page.panel().innerText).toContain('2 lines of pairs.jsonl cannot be read');
    expect(page.status()).toContain(`${report.pairs.counts.pairs} of ${report.pairs.counts.pairs} pairs`);
  });

  it('shows hostile texts as text', async () => {
    const hostile = [
      '<img src=x onerror="document.title=\'broken into\'"><script>document.title="broken into"</script>',
      'a'.repeat(1_000_000),
      'مرحبا ‮dlrow olleh‬ שלום',
      '👩‍🎓🏴‍☠️ {@html} ${1} {{2}}',
    ];
    const rows = hostile.map((text, i) => {
      const row = linesOf(pairsText)[i]!;
      return {
        ...row,
        itemId: text.slice(0, 50),
        chosen: { ...(row['chosen'] as object), text },
        teacher: text.slice(0, 99),
      };
    });
    const title = document.title;
    const page = await opened(session({ 'pairs.jsonl': jsonl(rows) }), '?place=inside&run=smoke-1');
    for (const text of hostile) {
      expect(page.panel().querySelector('.chosen')!.textContent).toContain(text.slice(0, 20_000));
      await page.press('ArrowDown');
    }
    expect(page.panel().querySelector('img, script')).toBeNull();
    expect(document.title).toBe(title);
    await page.press('Home');
    await page.press('ArrowDown');
    expect(page.panel().querySelector('.chosen')!.textContent!.length).toBeLessThan(25_000);
    button(page.panel(), 'Show all 1,000,000 characters').click();
    flushSync();
    expect(page.panel().querySelector('.chosen')!.textContent!.length).toBeGreaterThan(1_000_000);
    expect(page.panel().scrollWidth).toBeLessThanOrEqual(page.panel().clientWidth);
  });

  it('says so where this browser does not have the run', async () => {
    const fake = session({});
    fake.listArtefacts = () => Promise.resolve([]);
    const page = await opened(fake, '?place=inside&run=of-another-browser', '[role=alert]');
    expect(page.panel().innerText).toContain('of-another-browser');
    expect(page.panel().innerText).toContain('A run stays in the browser that made it');
  });
});

describe('pairs measured token by token', () => {
  const sequence = (texts: string[], gain: number): ScoredSequence => ({
    tokens: texts.map((text, i) => ({ id: i, text, policy: -0.5 + gain, reference: -0.5 })),
    policy: texts.length * (-0.5 + gain),
    reference: texts.length * -0.5,
  });
  const summary: PairTokensSummary = {
    ...{ pairs: 1, policy: true, loss: 'sigmoid', beta: 0.1, labelSmoothing: 0, over: 'sums', tier: 'f32' },
  };
  type Measure = (request: PairTokensRequest, onEvent: (event: PairTokensEvent) => void) => Promise<PairTokensSummary>;
  const withMeasure = (pairTokens: Measure): FakeSession & { asked: PairTokensRequest[] } => {
    const asked: PairTokensRequest[] = [];
    const fake = session({ 'pairs.jsonl': bytes(pairsText) });
    return Object.assign(fake, {
      asked,
      pairTokens: (request: PairTokensRequest, onEvent: (event: PairTokensEvent) => void) => {
        asked.push(request);
        return pairTokens(request, onEvent);
      },
    });
  };

  it('shows tokens with figures, the target, the sums and what the loss makes of them; then follows the choice', async () => {
    const target = linesOf(pairsText)[0]!['target'] as string;
    const fake = withMeasure(({ pairs }, onEvent) => {
      onEvent({ type: 'progress', progress: { task: 'pairs', done: 0, total: 1, unit: 'pairs' } });
      for (const index of pairs) {
        const [chosen, rejected] = [sequence(['is', ` ${target}`, ''], 0.4), sequence(['so', ''], -0.3)];
        const outcome = { rewardChosen: 0.12, rewardRejected: -0.06, margin: 0.18, loss: 0.6072 };
        onEvent({ type: 'pair', pair: { index, chosen, rejected, outcome } });
      }
      return Promise.resolve(summary);
    });
    const page = await opened(fake, '?place=inside&run=smoke-1');
    button(page.panel(), 'Measure token by token').click();
    for (let i = 0; i < 50 && page.panel().querySelector('.token') === null; i++) await settle();
    expect(fake.asked[0]).toMatchObject({ runId: 'smoke-1', pairs: [0] });
    const chosen = [...page.panel().querySelectorAll<HTMLElement>('.chosen .token')];
    expect(chosen.map(({ classList }) => classList.contains('up'))).toEqual([true, true, true]);
    expect(chosen.map(({ classList }) => classList.contains('target'))).toEqual([false, true, false]);
    expect(chosen[1]!.getAttribute('aria-label')).toContain('+0.40 nats, likelier than before');
    const [down] = page.panel().querySelectorAll<HTMLElement>('.rejected .token');
    expect(down!.classList.contains('down')).toBe(true);
    expect(getComputedStyle(down!).textDecorationStyle).toBe('dotted'); // not by colour alone
    chosen[0]!.focus();
    chosen[0]!.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
    flushSync();
    expect(document.activeElement).toBe(chosen[1]);
    expect(page.panel().querySelector<HTMLElement>('.chosen .figures')!.innerText).toContain('log π −0.10');
    expect(page.panel().innerText).toContain('0.1800');
    expect(page.panel().innerText).toContain('0.6072');
    expect(page.panel().querySelectorAll('.chosen tbody tr')).toHaveLength(3);
    await page.press('ArrowDown');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(fake.asked.map(({ pairs }) => pairs)).toEqual([[0], [1]]);
    await page.choose('Tint', 'policy');
    expect(page.panel().querySelector('.chosen .token')!.className).toContain('probability-sure');
  });

  it('is stopped by its button, and shows a refusal where it stands', async () => {
    let end: (error: Error) => void = () => undefined;
    const fake = withMeasure(() => new Promise((_, reject) => (end = reject)));
    fake.stop = () => {
      fake.calls.push('stop');
      end(Object.assign(new Error('stopped as asked'), { code: 'cancelled' }));
      return Promise.resolve();
    };
    const page = await opened(fake, '?place=inside&run=smoke-1');
    button(page.panel(), 'Measure token by token').click();
    await settle();
    await settle();
    expect(page.status()).toContain('The GPU is at work');
    expect(page.playground.busy).toBe(true);
    button(page.panel(), 'Stop').click();
    await settle();
    expect(fake.calls).toEqual(['stop']);
    expect(page.playground.busy).toBe(false);
    button(page.panel(), 'Measure token by token').click();
    await settle();
    end(new Error('the adapter is gone'));
    await settle();
    expect(page.panel().querySelector('[role=alert]')!.textContent).toContain('the adapter is gone');
  });

  it('is offered later while a run has the GPU', async () => {
    const page = await opened(
      withMeasure(() => Promise.reject(new Error('not expected'))),
      '?place=inside&run=smoke-1',
    );
    page.playground.preparing = true;
    flushSync();
    expect(button(page.panel(), 'Measure token by token').disabled).toBe(true);
    expect(page.panel().innerText).toContain('measuring is offered when the run is finished or stopped');
  });
});

describe('answers side by side', () => {
  it('filters by how the verdict changed between two ways of answering', async () => {
    const page = await opened(
      session({ 'predictions.jsonl': bytes(lessonAnswers) }),
      '?place=inside&view=generations&run=smoke-1',
    );
    expect(page.status()).toContain('56 items shown');
    await page.choose('Task', 'A stories');
    const right = (system: string): Map<unknown, boolean> =>
      new Map(
        linesOf(lessonAnswers)
          .filter((line) => line['taskId'] === 'A stories' && line['prompt'] === 'cot' && line['system'] === system)
          .map((line) => [line['itemId'], (line['correct'] as { strict: boolean }).strict]),
      );
    const [before, after] = [right('Baseline'), right('Self-refined')];
    const gained = [...after].filter(([id, now]) => now && before.get(id) === false).map(([id]) => String(id));
    const lost = [...before].filter(([id, was]) => was && after.get(id) === false).map(([id]) => String(id));
    expect(gained.length).toBeGreaterThan(0);
    expect(page.status()).toContain(`b = ${lost.length} only before, c = ${gained.length} only after`);
    button(page.panel(), `from wrong to right ${gained.length}`).click();
    await settle();
    expect(page.list().querySelectorAll('[role=option]')).toHaveLength(gained.length);
    expect(page.playground.address.get('filter')).toBe('gained');
    expect(page.panel().querySelector('.detail h3')!.textContent).toBe(gained[0]);
    button(page.panel(), `from right to wrong ${lost.length}`).click();
    await settle();
    expect(page.list().querySelectorAll('[role=option]')).toHaveLength(lost.length);
    await page.choose('From', 'Self-refined.cot');
    await page.choose('To', 'Baseline.cot');
    expect(page.status()).toContain(`b = ${gained.length} only before, c = ${lost.length} only after`);
  });

  it('shows a question with every answer, what was read from it, and cut-off marks', async () => {
    const page = await opened(
      session({ 'predictions.jsonl': bytes(predictionsText) }),
      '?place=inside&view=generations&run=smoke-1',
    );
    const first = linesOf(predictionsText)[0]!;
    const own = linesOf(predictionsText).filter(
      ({ itemId, taskId }) => itemId === first['itemId'] && taskId === first['taskId'],
    );
    const sections = [...page.panel().querySelectorAll<HTMLElement>('.answers section')];
    expect(sections).toHaveLength(own.length);
    for (const [i, line] of own.entries()) {
      const section = sections.find((one) => one.textContent!.includes(String(line['text'])));
      expect(section, `answer ${i}`).toBeDefined();
    }
    const cut = sections.filter((one) => one.innerText.includes('cut off')).length;
    expect(cut).toBe(own.filter(({ stopped }) => stopped === 'length').length);
  });
});

describe('demonstrations', () => {
  it('are listed, filtered and shown with their tokens', async () => {
    const rows = linesOf(demonstrationsText);
    const changed = rows.map((row, i) =>
      i === 1
        ? { ...row, correct: false }
        : i === 2
          ? { ...row, original: { answer: 'was <b>7</b>', correct: false } }
          : row,
    );
    const page = await opened(
      session({ 'demonstrations.jsonl': jsonl(changed) }),
      '?place=inside&view=demonstrations&run=smoke-1',
    );
    expect(page.status()).toContain(`${rows.length} of ${rows.length} demonstrations`);
    expect(page.panel().innerText).toContain(`${String(rows[0]!['answerTokens'])} of the answer`);
    await page.choose('Show', 'wrong');
    expect(page.status()).toContain(`1 of ${rows.length} demonstrations, 0 right`);
    await page.choose('Show', 'edited');
    expect(page.panel().querySelector('.detail')!.textContent).toContain('was <b>7</b>');
    expect(page.panel().querySelector('.detail b')).toBeNull();
  });
});
