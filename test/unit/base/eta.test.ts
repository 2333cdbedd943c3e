// The time that is left: right for steady work, silent where nothing was measured, and not misled by compilation, pauses, a
// sleeping machine, the end of one task within an item, or steps that a resumed run does not repeat.
import { describe, expect, it } from 'vitest';
import { RemainingTime, type WorkItem } from '../../../src/base/eta';

const STEPS: WorkItem = { id: 'instruct steps', kind: 'parallel', units: 20, cost: 2000 };

/** Reports steps from..to, each `ms` after the last. */
function walk(eta: RemainingTime, from: number, to: number, startMs: number, ms: number): number {
  let now = startMs;
  for (let done = from; done <= to; done++) {
    now += ms;
    eta.progress(STEPS.id, { task: 'instruct', done, total: 20 }, now, true);
  }
  return now;
}

describe('the time that is left', () => {
  it('is unknown until a second report, then the measured speed times what is left; compilation does not count', () => {
    const eta = new RemainingTime([STEPS]);
    eta.begin(0);
    expect(eta.remaining()).toEqual({ seconds: 0, unknown: [STEPS.id] });
    const first = walk(eta, 1, 1, 0, 9000); // compiles shaders
    expect(eta.remaining().unknown).toEqual([STEPS.id]);
    walk(eta, 2, 5, first, 500);
    expect(eta.remaining()).toEqual({ seconds: 7.5, unknown: [] });
  });

  it('follows a speed that changes, within about ten reports', () => {
    const eta = new RemainingTime([{ ...STEPS, units: 100 }]);
    eta.begin(0);
    const report = (done: number, now: number): void =>
      eta.progress(STEPS.id, { task: 'instruct', done, total: 100 }, now, true);
    for (let done = 1; done <= 10; done++) report(done, done * 100);
    for (let done = 11; done <= 50; done++) report(done, 1000 + (done - 10) * 1000);
    expect(eta.remaining().seconds).toBeGreaterThan(50 * 0.95);
    expect(eta.remaining().seconds).toBeLessThanOrEqual(50);
  });

  it('takes pauses out, whether they were announced or the machine slept', () => {
    const eta = new RemainingTime([STEPS]);
    eta.begin(0);
    let now = walk(eta, 1, 5, 0, 500);
    eta.pause(now + 10);
    eta.resume(now + 10 + 3_600_000);
    now = walk(eta, 6, 8, now + 3_600_000, 500);
    expect(eta.remaining().seconds).toBeCloseTo(6, 9);
    walk(eta, 9, 9, now + 3_600_000, 500); // the lid was closed
    expect(eta.remaining().seconds).toBeCloseTo(5.5, 9);
    // A slow step is work all the same.
    const slow = new RemainingTime([STEPS]);
    slow.begin(0);
    walk(slow, 10, 10, walk(slow, 1, 9, 0, 500), 5000);
    expect(slow.remaining().seconds).toBeGreaterThan(6);
  });

  it('estimates what has not begun from its kind, in proportion to its cost, and says what it cannot', () => {
    const eta = new RemainingTime([
      STEPS,
      { id: 'control steps', kind: 'parallel', units: 10, cost: 3000 },
      { id: 'evaluate answers', kind: 'decode', units: 64, cost: 9000 },
    ]);
    eta.begin(0);
    walk(eta, 1, 20, 0, 500); // 100 tokens a step; the control has 300 a step
    expect(eta.remaining().seconds).toBeCloseTo(15, 9);
    expect(eta.remaining().unknown).toEqual(['evaluate answers']);
  });

  it('counts several tasks of one item on, and corrects a count that was a bound', () => {
    const eta = new RemainingTime([{ id: 'a', kind: 'decode', units: 60, cost: 600 }]);
    eta.begin(0);
    eta.progress('a', { task: 'plain', done: 10, total: 20 }, 4000);
    eta.progress('a', { task: 'plain', done: 20, total: 20 }, 5000);
    eta.progress('a', { task: 'cot', done: 10, total: 20 }, 6000);
    expect(eta.remaining().seconds).toBeCloseTo(3, 9); // 30 left, 100 ms each
    expect(eta.share()).toBeCloseTo(0.5, 9);
    eta.finish('a');
    expect(eta.remaining()).toEqual({ seconds: 0, unknown: [] });
    const pairs = new RemainingTime([{ id: 'p', kind: 'x', units: 100, cost: 1000 }]);
    pairs.begin(0);
    pairs.progress('p', { task: 'reference', done: 5, total: 20 }, 100, true);
    pairs.progress('p', { task: 'reference', done: 10, total: 20 }, 600, true);
    expect(pairs.remaining().seconds).toBeCloseTo(1, 9);
  });

  it('of a resumed run does not take the steps that were there for steps of this sitting', () => {
    const eta = new RemainingTime([STEPS]);
    eta.begin(0);
    eta.progress(STEPS.id, { task: 'instruct', done: 15, total: 20 }, 1000, true);
    eta.progress(STEPS.id, { task: 'instruct', done: 16, total: 20 }, 2000, true);
    expect(eta.remaining().seconds).toBeCloseTo(4, 9);
  });
});
