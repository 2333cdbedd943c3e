// output.test.ts: nobody is left alone with a silent terminal: progress is seen at once, and long silence is broken. Machines
// get results only.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Output } from '../../src/cli/output';
import { Kept } from './fakeSession';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const made = (json: boolean, terminal = false): { output: Output; out: Kept; err: Kept } => {
  const [out, err] = [new Kept(), Object.assign(new Kept(), { isTTY: terminal, columns: 80 })];
  return { output: new Output(json, { out, err }), out, err };
};
const step = (done: number) => ({ task: 'check', done, unit: 'cases' as const });

it('the first progress is written at once, the next after ten seconds', () => {
  const { output, err } = made(false);
  output.progress(step(1));
  output.progress(step(2));
  expect(err.text).toBe('check: 1 cases\n');
  vi.advanceTimersByTime(10_000);
  output.progress(step(3));
  expect(err.text).toContain('check: 3 cases');
});

it('a silence is broken, with what was done last, and only while the verb runs', () => {
  const { output, err } = made(false);
  vi.advanceTimersByTime(16_000);
  expect(err.text).toBe('still working after 15 s\n');
  output.progress(step(7), 'attention_backward');
  vi.advanceTimersByTime(31_000);
  expect(err.text.match(/still working/g)).toHaveLength(3);
  expect(err.text).toContain('after 46 s, last: check: 7 cases  attention_backward');
  output.close();
  const before = err.text;
  vi.advanceTimersByTime(100_000);
  expect(err.text).toBe(before);
});

it('a terminal counts the seconds in one line', () => {
  const { output, err } = made(false, true);
  vi.advanceTimersByTime(17_000);
  expect(err.text).toContain('\r\u001b[Kstill working after 17 s');
  expect(err.text).not.toContain('\n');
  output.close();
  expect(err.text.endsWith('\r\u001b[K')).toBe(true);
});

it('machines get no remarks on stdout, and no silence is broken for them', () => {
  const { output, out, err } = made(true);
  output.progress(step(1));
  vi.advanceTimersByTime(100_000);
  output.result('check', { done: 1 }, () => 'human');
  expect(out.text).toBe('{"type":"check","done":1}\n');
  expect(err.text).toBe('');
});
