// teacherMixture.test.ts: the teachers of an experiment in the page: counts and accuracy, wrong answers kept or filtered, single
// demonstrations found, left out and edited; all of it in the experiment, over a reload.
import { afterEach, expect, it } from 'vitest';
import type { FakeSession } from './fakePage';
import { button, removePages, settle } from './fakePage';
import { field, Memory, mixtureOf, set, TeachingSession, teachersPage, until, type Page } from './teachingPage';

afterEach(removePages);

const entry = ({ playground }: Page) => playground.experiments.checked.experiment!.demonstrations[0]!;
const items = (root: HTMLElement): HTMLElement[] => [...root.querySelectorAll<HTMLElement>('.list ol > li')];
/** A list that is a page long at most, found by its items' ids. */
const itemId = (item: HTMLElement): string => /· (\S+)/.exec(item.querySelector('.head .soft')!.textContent!)![1]!;

async function listed(session: FakeSession, memory: Memory): Promise<Page & { mixture: HTMLElement }> {
  const page = await teachersPage(session as TeachingSession, memory);
  const mixture = mixtureOf(page);
  await until(() => mixture.innerText.includes('in training'));
  button(mixture, 'Demonstrations of scripted, in-family, A stories').click();
  await settle();
  return { ...page, mixture };
}

it('shows each teacher with family, number and accuracy; wrong answers are kept or filtered in the experiment', async () => {
  const { mixture, ...page } = await listed(new TeachingSession(), new Memory());
  expect(mixture.innerText).toContain('120 in training · 100.0 % right');
  const control = (path: string): HTMLInputElement =>
    mixture.querySelector<HTMLInputElement>(`[data-path="demonstrations[0].${path}"] :is(input, select)`)!;
  expect(control('family').value).toBe('in-family');
  set(control('keepWrong'), false);
  set(control('family'), 'out-family');
  await settle();
  expect(entry(page)).toMatchObject({ keepWrong: false, family: 'out-family' });
});

it('finds demonstrations by words and verdict, a page at a time', async () => {
  const { mixture } = await listed(new TeachingSession(), new Memory());
  expect(mixture.innerText).toContain('1–10 of 120');
  const first = items(mixture).map(itemId);
  button(mixture, 'Next page of demonstrations of scripted, in-family').click();
  await settle();
  expect(items(mixture).map(itemId)).not.toEqual(first);
  set(field(mixture, 'Search'), `${first[3]!} the answer`);
  await settle();
  expect(items(mixture).map(itemId)).toContain(first[3]);
  expect(mixture.innerText).toMatch(/\b1 demonstration\b|\b1?\d demonstrations/);
  set(field(mixture, 'Show'), 'wrong');
  await settle();
  expect(mixture.innerText).toContain('0 demonstrations');
  set(field(mixture, 'Search'), '');
  set(field(mixture, 'Show'), 'right');
  await settle();
  expect(mixture.innerText).toContain('120 demonstrations');
});

it('leaves out and edits by hand: judged anew, in the experiment, over a reload, into a run, and back again', async () => {
  const memory = new Memory();
  const session = new TeachingSession();
  const { mixture, ...page } = await listed(session, memory);
  const [one, two] = items(mixture).map(itemId);
  button(mixture, `Leave out ${one!}`).click();
  await until(() => mixture.innerText.includes('1 left out'));
  expect(button(mixture, `Take in ${one!}`).getAttribute('aria-pressed')).toBe('true');
  button(mixture, `Edit ${two!}`).click();
  await settle();
  const draft = mixture.querySelector('textarea')!;
  expect(document.activeElement).toBe(draft);
  const own = draft.value;
  set(draft, 'By hand. The answer is 98765.');
  button(mixture, 'Save').click();
  await until(() => mixture.innerText.includes('1 edited'));
  expect(document.activeElement).toBe(button(mixture, `Edit ${two!}`));
  expect(items(mixture)[1]!.querySelector('.head')!.textContent).toContain('✗ wrong');
  expect(mixture.innerText).toContain('120 in training · 100.0 % right'); // the teacher's own accuracy is its own
  const label = 'scripted, in-family';
  expect(entry(page)).toMatchObject({
    exclude: [`${label}/${one!}`],
    edits: [{ id: `${label}/${two!}`, answer: 'By hand. The answer is 98765.' }],
  });
  removePages();

  const again = await listed(session, memory);
  set(field(again.mixture, 'Show'), 'by hand');
  await settle();
  expect(items(again.mixture).map(itemId)).toEqual([one, two]);
  // What is run is what is shown.
  button(again.root, 'Run').click();
  await settle();
  const { demonstrations } = session.request!.experiment as { demonstrations: object[] };
  expect(demonstrations[0]).toMatchObject({ exclude: [`${label}/${one!}`] });
  session.finish({});
  await until(() => !again.playground.busy);
  button(again.mixture, `The teacher's own answer to ${two!}`).click();
  await until(() => !again.mixture.innerText.includes('1 edited'));
  button(again.mixture, `Take in ${one!}`).click();
  await until(() => !again.mixture.innerText.includes('1 left out'));
  expect(entry(again)).not.toHaveProperty('exclude');
  expect(entry(again)).not.toHaveProperty('edits');
  set(field(again.mixture, 'Show'), 'all');
  await settle();
  expect(items(again.mixture)[1]!.querySelector('.answer')!.textContent).toBe(own);
});

it('a training phase without a teacher does not run, and says why where teachers are; undo brings the teacher back', async () => {
  const { mixture, ...page } = await listed(new TeachingSession(), new Memory());
  button(mixture, 'Remove scripted, in-family, A stories').click();
  await settle();
  expect(mixture.innerText).toContain('demonstrations of a task that is used for instruct');
  expect(page.playground.canRun).toBe(false);
  button(page.panel, 'Undo').click();
  await settle();
  expect(page.playground.canRun).toBe(true);
  expect(page.playground.experiments.isChanged).toBe(false);
});
