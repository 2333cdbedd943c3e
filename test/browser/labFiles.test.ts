// labFiles.test.ts: an experiment of the Lab handed on as a file or a link, and taken in again; what is broken or hostile changes nothing.
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeChanges } from '../../src/app/state/changesLink';
import type { ChangeSet } from '../../src/config/differences';
import { preset } from '../../src/config/presets';
import { button, removePages, settle } from './fakePage';
import { drop, field, Memory, pick, set, until } from './teachingPage';
import { opened } from './formPage';

afterEach(removePages);

describe('a file', () => {
  it('is downloaded under its name as the command line reads it, and opened again', async () => {
    const { head, saved, experiments } = await opened();
    experiments.edit(['name'], 'My run');
    experiments.edit(['seed'], 5);
    button(head, 'Download').click();
    await until(() => saved.size === 1);
    const text = saved.get('my-run.json')!;
    expect(JSON.parse(text)).toEqual(experiments.checked.experiment);
    experiments.undoChanges();
    drop(head, ['my-run.json', text]);
    await until(() => experiments.selectedId === 'saved:My run');
    expect(experiments.checked.experiment!.seed).toBe(5);
    expect(experiments.isChanged).toBe(false);
  });

  it.each([
    ['{"name": "x",', 'broken.json: expected JSON'],
    ['[1, 2]', 'broken.json: expected an experiment, got other JSON'],
    ['{"name": "s", "experiment": "smoke"}', 'got a series of them'],
  ])('that is none (%s) is refused, and nothing is changed', async (text, message) => {
    const { head, experiments } = await opened();
    const before = experiments.document;
    pick(head.querySelector<HTMLInputElement>('[type="file"]')!, ['broken.json', text]);
    await until(() => head.innerText.includes(message));
    expect(experiments.document).toBe(before);
    expect(experiments.choices.some(({ own }) => own)).toBe(false);
  });

  it('that has keys which are no settings is opened, and they can be taken out', async () => {
    const { form, head, experiments, root } = await opened();
    set(field(head, 'or paste one'), JSON.stringify({ ...preset('smoke'), colour: 'red' }));
    button(head, 'Open what is pasted').click();
    await settle();
    expect(form.innerText).toContain('colour: expected no such key (unknown), got "red"');
    expect(button(root, 'Run').disabled).toBe(true);
    button(form, 'Take it out: colour').click();
    flushSync();
    expect(experiments.checked.experiment).toBeDefined();
  });
});

describe('a link', () => {
  const changes = { 'adapter.rank': 8, 'phases.selfRefine.beta': 0.3 };

  it('brings its changes, says so, shows them, and is undone', async () => {
    const { head, form, paths, experiments } = await opened(
      `?experiment=smoke&seed=9&changes=${await encodeChanges(changes)}`,
    );
    expect(head.innerText).toContain('From a link: 3 settings differ from “Preset: Smoke”.');
    expect(paths()).toEqual(['seed', 'adapter.rank', 'phases.selfRefine.beta']);
    button(head, 'Show them').click();
    await settle();
    expect(form.querySelectorAll('.differences tbody tr')).toHaveLength(3);
    button(head, 'Undo the link').click();
    flushSync();
    expect(experiments.isChanged).toBe(false);
    expect(head.innerText).not.toContain('From a link');
  });

  it('made here opens elsewhere as the same experiment; here, a reload is no link', async () => {
    const first = await opened();
    first.experiments.edit(['adapter', 'rank'], 8);
    first.experiments.edit(['seed'], 3);
    await first.experiments.address.refresh();
    const { shown } = first.experiments.address;
    const query = `?experiment=${shown.experiment}&seed=${shown.seed}&changes=${shown.changes}`;
    const same = first.experiments.checked.experiment;
    removePages();
    const again = await opened(query, first.memory);
    expect(again.experiments.checked.experiment).toEqual(same);
    expect(again.experiments.address.fromLink).toBeUndefined();
    removePages();
    const elsewhere = await opened(query);
    expect(elsewhere.experiments.checked.experiment).toEqual(same);
    expect(elsewhere.experiments.address.fromLink).toBe('smoke');
  });

  it('of a saved experiment is of the preset that it is most like', async () => {
    const { experiments } = await opened();
    experiments.edit(['adapter', 'rank'], 8);
    experiments.saveAs('Mine');
    await experiments.address.refresh();
    expect(experiments.address.shown.experiment).toBe('smoke');
    const elsewhere = await opened(`?experiment=smoke&changes=${experiments.address.shown.changes}`);
    expect(elsewhere.experiments.checked.experiment).toEqual(experiments.checked.experiment);
  });

  it('takes nothing from a person: own changes are kept under a name', async () => {
    const memory = new Memory();
    (await opened('?experiment=smoke', memory)).experiments.edit(['adapter', 'rank'], 16);
    removePages();
    const { experiments, head } = await opened(`?experiment=smoke&changes=${await encodeChanges(changes)}`, memory);
    expect(experiments.checked.experiment!.adapter.rank).toBe(8);
    expect(head.innerText).toContain('Your own changes are kept as “Smoke, as it was before a link”.');
    experiments.selectedId = 'saved:Smoke, as it was before a link';
    expect(experiments.checked.experiment!.adapter.rank).toBe(16);
  });

  it.each([
    ['half of one', async () => (await encodeChanges(changes)).slice(0, 20)],
    ['no text of ours', () => Promise.resolve('<script>alert(1)</script>')],
    ['a bad value', () => encodeChanges({ 'adapter.rank': -1 })],
    ['a setting that is none', () => encodeChanges({ colour: 'red' })],
    ['a path that leads nowhere', () => encodeChanges({ 'tasks[99].name': 'x' })],
    ['a key that is not one’s own', () => encodeChanges(JSON.parse('{"__proto__": {"rank": 1}}') as ChangeSet)],
  ])('that holds %s gives a notice, and the preset', async (_, make) => {
    const { experiments, head } = await opened(`?experiment=smoke&changes=${encodeURIComponent(await make())}`);
    await settle();
    expect(head.querySelector('[role="alert"]')!.textContent).toContain('The link could not be taken');
    expect(experiments.isChanged).toBe(false);
    expect(experiments.checked.experiment).toEqual(preset('smoke'));
    expect(({} as { rank?: number }).rank).toBeUndefined();
  });

  it('to an experiment that this page does not have says so', async () => {
    const { head, experiments } = await opened('?experiment=saved%3ASomebody%E2%80%99s');
    expect(head.innerText).toContain('expected one that this page has');
    expect(experiments.selectedId).toBe('lesson');
  });
});
