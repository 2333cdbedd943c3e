// labForm.test.ts: the Lab's form of the whole experiment, mounted: every setting of the schema is in it, what is typed is judged at the
// field, and changes can be told, taken back and saved. Files and links are labFiles.test.ts.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { PANELS } from '../../src/app/lab/sections';
import type { Experiment } from '../../src/config/experiment';
import { everySetting, settingOf } from '../../src/config/settings';
import { blankOf } from '../../src/config/settingValues';
import { button, removePages, settle } from './fakePage';
import { field, set } from './teachingPage';
import { key, opened } from './formPage';

afterEach(removePages);

describe('the form', () => {
  it('has every setting of the schema, but for those that a panel of its own edits', async () => {
    const { form, experiments, playground } = await opened('?experiment=paper');
    const on = (path: (string | number)[], pattern: string): void =>
      experiments.edit(path, blankOf(settingOf(pattern).shape));
    on(['phases', 'control'], 'phases.control');
    on(['evaluation', 'selfConsistency'], 'evaluation.selfConsistency');
    on(['tasks', 0, 'mapping'], 'tasks[].mapping');
    on(['demonstrations', 0, 'fields'], 'demonstrations[].fields');
    experiments.edit(['student', 'tokenizer'], { kind: 'words', path: 'vocab.json' });
    experiments.edit(['tasks', 1, 'files'], { train: ['a'], test: ['b'] });
    button(form, 'Unfold all').click();
    await settle();
    const shown = new Set(
      [...form.querySelectorAll<HTMLElement>('[data-setting]')].map((one) => one.dataset['setting']!),
    );
    const wanted = everySetting()
      .filter(({ shape, pattern }) => shape.kind !== 'literal' && pattern !== 'phases')
      .map(({ pattern }) => pattern)
      .filter((pattern) => !Object.keys(PANELS).some((panel) => pattern.startsWith(panel)));
    expect(wanted.filter((pattern) => !shown.has(pattern))).toEqual([]);
    expect(wanted.length).toBeGreaterThan(100);
    // The panels are there as well.
    expect(form.querySelector('.student')).not.toBeNull();
    expect(form.querySelector('.teachers')).not.toBeNull();
    // Every control has a name, and what describes it is there.
    for (const one of form.querySelectorAll<HTMLInputElement>('[data-path] :is(input, select, textarea)')) {
      const label =
        (one.getAttribute('aria-label') ?? '') + [...(one.labels ?? [])].map((each) => each.textContent).join('');
      const by = one.getAttribute('aria-labelledby');
      expect(label + (by === null ? '' : document.getElementById(by)!.textContent), one.outerHTML).toMatch(/\S/);
      for (const id of one.getAttribute('aria-describedby')?.split(' ') ?? []) {
        expect(document.getElementById(id), `${id} of ${one.outerHTML}`).not.toBeNull();
      }
    }
    const ids = [...form.querySelectorAll('[id]')].map(({ id }) => id);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(window.innerWidth);
    expect(playground.canRun).toBe(false); // switched on, but not filled in
  });

  it('says unit, range, default and whence, and goes back to the default', async () => {
    const { row, open, control, type, experiments } = await opened();
    await open('selfRefine');
    const rate = row('phases.selfRefine.learningRate');
    expect(rate.innerText).toContain('paper §3.2.1');
    expect(rate.innerText).toContain('> 0, ≤ 1');
    expect(rate.innerText).toContain('Peak learning rate of phase 2.');
    expect(row('phases.selfRefine.batchSize').innerText).toContain('pairs');
    expect(row('phases.selfRefine.beta').innerText).toContain('default');
    type('phases.selfRefine.beta', '0,25');
    expect(experiments.checked.experiment!.phases.selfRefine).toMatchObject({ beta: 0.25 });
    expect(row('phases.selfRefine.beta').classList.contains('changed')).toBe(true);
    button(row('phases.selfRefine.beta'), 'β: back to the default 0.1').click();
    flushSync();
    expect(control('phases.selfRefine.beta').value).toBe('0.1');
    expect(experiments.isChanged).toBe(false);
  });

  it('finds settings by words, and unfolds them', async () => {
    const { form, playground } = await opened();
    set(form.querySelector<HTMLInputElement>('[type="search"]')!, 'learning rate');
    await settle();
    const found = [...form.querySelectorAll<HTMLElement>('.setting')].map((one) => one.dataset['path']);
    expect(found).toContain('phases.instruct.learningRate');
    expect(found).toContain('phases.selfRefine.learningRate');
    expect(found.length).toBeLessThan(10);
    expect(playground.address.get('q')).toBe('learning rate');
    set(form.querySelector<HTMLInputElement>('[type="search"]')!, 'no such thing');
    await settle();
    expect(form.innerText).toContain('No setting has “no such thing”');
  });

  it('switches phases off and on again with what they held', async () => {
    const { open, control, experiments } = await opened();
    await open('selfRefine');
    const before = experiments.checked.experiment!.phases.selfRefine;
    control('phases.selfRefine').click();
    flushSync();
    expect(experiments.checked.experiment!.phases.selfRefine).toBe(false);
    control('phases.selfRefine').click();
    flushSync();
    expect(experiments.checked.experiment!.phases.selfRefine).toEqual(before);
  });

  it('moves, adds and removes entries by keyboard and button', async () => {
    const { form, open, experiments } = await opened();
    await open('tasks');
    const names = (): string[] => (experiments.complete as Experiment).tasks.map(({ name }) => name);
    expect(names()).toEqual(['A stories', 'C kinds']);
    const summary = form.querySelector<HTMLElement>('[data-path="tasks"] summary')!;
    expect(key(summary, 'ArrowDown', { altKey: true }).defaultPrevented).toBe(true);
    await settle();
    expect(names()).toEqual(['C kinds', 'A stories']);
    expect(document.activeElement?.textContent).toContain('A stories'); // the keyboard went with it
    button(form, 'Remove C kinds').click();
    flushSync();
    expect(names()).toEqual(['A stories']);
    button(form, 'Add a task').click();
    await settle();
    expect(experiments.checked.problems.map(({ path }) => path)).toContain('tasks[1].name');
    expect((document.activeElement as HTMLElement).closest('[data-path]')?.getAttribute('data-path')).toBe(
      'tasks[1].id',
    );
  });
});

describe('what is typed', () => {
  it('is judged at the field, stays there, keeps Run from running, and is listed with the way to it', async () => {
    const { root, form, row, open, control, type, experiments } = await opened();
    await open('instruct');
    type('phases.instruct.epochs', 'many');
    await settle();
    const input = control('phases.instruct.epochs');
    expect(input.value).toBe('many');
    expect(input.getAttribute('aria-invalid')).toBe('true');
    const described = input
      .getAttribute('aria-describedby')!
      .split(' ')
      .map((id) => document.getElementById(id)!.innerText);
    expect(described.join(' ')).toContain('Expected a number, got "many"');
    expect(row('phases.instruct.epochs').querySelector('[role="alert"]')).not.toBeNull();
    expect(button(root, 'Run').disabled).toBe(true);
    set(control('phases.instruct.epochs'), '-1');
    expect(row('phases.instruct.epochs').innerText).toContain('Expected more than 0, got -1');
    // Folded away, it is found by the list.
    form.querySelector<HTMLDetailsElement>('[data-section="instruct"]')!.open = false;
    await settle();
    expect(form.querySelector('[data-section="instruct"] > summary')!.textContent).toContain('1 problem');
    button(form, 'Go there: phases.instruct.epochs').click();
    await settle();
    expect(document.activeElement).toBe(control('phases.instruct.epochs'));
    set(control('phases.instruct.epochs'), '3');
    expect(button(root, 'Run').disabled).toBe(false);
    expect(form.querySelector('.problems')).toBeNull();
    expect(experiments.checked.experiment!.phases.instruct).toMatchObject({ epochs: 3 });
  });

  it('and breaks a rule between settings is told at each of them', async () => {
    const { row, open, type, form } = await opened('?experiment=lesson');
    await open('instruct');
    type('phases.instruct.warmupSteps', '5');
    await settle();
    for (const name of ['warmupRatio', 'warmupSteps']) {
      expect(row(`phases.instruct.${name}`).innerText).toContain('warmupRatio or warmupSteps, not both');
    }
    expect(form.querySelectorAll('.problems li')).toHaveLength(1);
    button(row('phases.instruct.warmupRatio'), 'Warm-up ratio: back to not set').click();
    flushSync();
    expect(form.querySelector('.problems')).toBeNull();
  });

  it('is undone by Ctrl+Z beyond the field, and done again; letters of one word are one step', async () => {
    const { open, control, type, experiments, form } = await opened();
    await open('student');
    type('adapter.rank', '1');
    type('adapter.rank', '16');
    type('adapter.rank', '162');
    type('adapter.alpha', '5');
    expect(experiments.checked.experiment!.adapter).toMatchObject({ rank: 162, alpha: 5 });
    // In the field itself the browser's own undo comes first.
    expect(key(control('adapter.alpha'), 'z', { ctrlKey: true }).defaultPrevented).toBe(false);
    control('adapter.rank').focus();
    expect(key(control('adapter.rank'), 'z', { ctrlKey: true }).defaultPrevented).toBe(true);
    expect(experiments.steady!.adapter).toMatchObject({ rank: 162, alpha: 8 });
    key(control('adapter.rank'), 'z', { ctrlKey: true });
    expect(experiments.steady!.adapter).toMatchObject({ rank: 4, alpha: 8 });
    expect(control('adapter.rank').value).toBe('4');
    key(form, 'Z', { ctrlKey: true, shiftKey: true });
    expect(experiments.steady!.adapter.rank).toBe(162);
    button(form, 'Redo').click();
    expect(experiments.steady!.adapter.alpha).toBe(5);
  });

  it('clears to the default, which then stands in the field', async () => {
    const { open, control, type, experiments } = await opened();
    await open('student');
    type('adapter.rank', '');
    expect(control('adapter.rank').value).toBe('');
    expect(control('adapter.rank').placeholder).toBe('64');
    expect(experiments.steady!.adapter.rank).toBe(64);
    control('adapter.rank').blur();
    flushSync();
    expect(control('adapter.rank').value).toBe('64');
  });
});

describe('changes', () => {
  it('are told as a table, each of which is taken back', async () => {
    const { form, head, experiments, paths } = await opened();
    experiments.edit(['adapter', 'rank'], 8);
    experiments.edit(['phases', 'selfRefine', 'beta'], 0.3);
    flushSync();
    button(head, '2 settings changed by you').click();
    await settle();
    const rows = [...form.querySelectorAll<HTMLElement>('.differences tbody tr')].map((row) =>
      row.innerText.replace(/\s+/g, ' '),
    );
    expect(rows[0]).toContain('Rank r adapter.rank 4 8');
    expect(rows[1]).toContain('phases.selfRefine.beta 0.1 0.3');
    button(form, 'Take back adapter.rank').click();
    flushSync();
    expect(paths()).toEqual(['phases.selfRefine.beta']);
    button(head, 'Undo changes').click();
    flushSync();
    expect(experiments.isChanged).toBe(false);
    button(form, 'Undo').click();
    flushSync();
    expect(paths()).toEqual(['phases.selfRefine.beta']);
  });

  it('outlive a reload, good or not yet', async () => {
    const first = await opened();
    first.experiments.edit(['adapter', 'rank'], 'eight');
    removePages();
    const { experiments } = await opened('?experiment=smoke', first.memory);
    expect(experiments.checked.problems.map(({ value }) => value)).toEqual(['"eight"']);
    expect(experiments.steady!.adapter.rank).toBe(4);
  });

  it('are saved under a name, renamed, deleted; over a reload', async () => {
    const first = await opened();
    first.experiments.edit(['adapter', 'rank'], 8);
    set(field(first.head, 'Name'), 'Mine');
    button(first.head, 'Save as').click();
    flushSync();
    expect(first.experiments.selected).toMatchObject({ label: 'Mine', own: true });
    expect(first.experiments.isChanged).toBe(false);
    expect(first.experiments.checked.experiment).toMatchObject({ name: 'Mine', adapter: { rank: 8 } });
    first.experiments.edit(['adapter', 'rank'], 2);
    flushSync();
    button(first.head, 'Save').click();
    set(field(first.head, 'Name'), 'Yours');
    button(first.head, 'Rename').click();
    flushSync();
    removePages();
    const { experiments, head, root } = await opened('?experiment=smoke', first.memory);
    expect([...head.querySelectorAll('optgroup')].at(-1)!.label).toBe('Saved in this browser');
    set(root.querySelector<HTMLSelectElement>('[aria-labelledby="experiment-title"] select')!, 'saved:Yours');
    expect(experiments.checked.experiment!.adapter.rank).toBe(2);
    button(head, 'Delete Yours').click();
    flushSync();
    button(head, 'Really delete Yours').click();
    flushSync();
    expect(experiments.choices.filter(({ own }) => own)).toEqual([]);
    expect(experiments.selectedId).toBe('lesson');
  });
});
