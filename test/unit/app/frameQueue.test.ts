// frameQueue.test.ts: pieces of work that become due together are done one a frame, in order, each once.
import { describe, expect, it } from 'vitest';
import { FrameQueue } from '../../../src/app/frameQueue';

function made(): { queue: FrameQueue; frame: () => void; asked: () => boolean } {
  let waiting: (() => void) | undefined;
  const queue = new FrameQueue(
    (act) => {
      waiting = act;
      return 1;
    },
    () => (waiting = undefined),
  );
  const frame = (): void => {
    const act = waiting;
    waiting = undefined;
    act?.();
  };
  return { queue, frame, asked: () => waiting !== undefined };
}

describe('work in turn', () => {
  it('does one piece a frame, in the order in which they came, and asks for no frame without work', () => {
    const { queue, frame, asked } = made();
    const done: string[] = [];
    const [a, b] = [() => void done.push('a'), () => void done.push('b')];
    queue.add(a);
    queue.add(b);
    queue.add(a); // it waits already: it keeps its turn, and is done once
    frame();
    expect(done).toEqual(['a']);
    expect([queue.has(a), queue.has(b)]).toEqual([false, true]);
    frame();
    expect(done).toEqual(['a', 'b']);
    expect(asked()).toBe(false);
  });

  it('goes on after a piece that failed, and leaves out what was taken back', () => {
    const { queue, frame, asked } = made();
    const done: string[] = [];
    const bad = (): void => {
      throw new Error('no canvas');
    };
    const [b, c] = [() => void done.push('b'), () => void done.push('c')];
    for (const work of [bad, b, c]) queue.add(work);
    expect(frame).toThrow('no canvas');
    queue.remove(b);
    frame();
    expect(done).toEqual(['c']);
    queue.add(b);
    queue.remove(b);
    expect(asked()).toBe(false);
  });
});
