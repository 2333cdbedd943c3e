// The lesson's plain parts: marking a target in whatever text, the words for a pair, and the recording that the page brings:
// that it is a run's, agrees with its own report, and is small.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { beginning, markTarget } from '../../../src/app/lesson/marks';
import { whyPair } from '../../../src/app/lesson/pairWords';
import { asRecording, type Recording } from '../../../src/app/lesson/recording';
import { comparedRows } from '../../../src/app/lesson/fourSystems';
import type { SessionEvent } from '../../../src/session/protocol';

const marked = (text: string, target: string): string =>
  markTarget(text, target)
    .map((piece) => (piece.marked ? `[${piece.text}]` : piece.text))
    .join('');

describe('a target in a text', () => {
  it.each([
    ['First, 21 - 6 = 15. The answer is 11.', '11', 'First, 21 - 6 = 15. The answer is [11].'],
    ['111 and 11 and 1.11 and 11.5 and 11,000', '11', '111 and [11] and 1.11 and 11.5 and 11,000'],
    ['A melon is A) a bird. The answer is A', 'A', 'A melon is [A]) a bird. The answer is [A]'],
    ['ABC BA', 'A', 'ABC BA'],
    ['nothing here', '', 'nothing here'],
    ['a.c abc', 'a.c', '[a.c] abc'],
    ['<img src=x onerror=alert(1)> 7', '7', '<img src=x onerror=alert(1)> [7]'],
    ['الجواب هو 12', '12', 'الجواب هو [12]'],
  ])('%s', (text, target, expected) => {
    expect(marked(text, target)).toBe(expected);
  });

  it('loses nothing of the text, 1 MB of one word included', () => {
    const word = '7'.repeat(1_000_000);
    for (const text of [word, '😀 7 👩‍👩‍👧 7', '']) {
      expect(
        markTarget(text, '7')
          .map((piece) => piece.text)
          .join(''),
      ).toBe(text);
    }
    expect(markTarget(word, '7').every((piece) => !piece.marked)).toBe(true);
  });

  it('is written in whole characters', () => {
    const text = 'a👩‍👩‍👧b';
    expect([0, 1, 2, 3, 9].map((count) => beginning(text, count))).toEqual(['', 'a', 'a👩‍👩‍👧', text, text]);
  });
});

describe('why a pair came out so', () => {
  it('says who is chosen, and that a right y is rejected too', () => {
    expect(whyPair({ chosenFrom: 'student', cases: ['cot_correct', 'plain_correct'] }).join(' ')).toMatch(
      /own reasoning is chosen.*although it is right/,
    );
    expect(whyPair({ chosenFrom: 'teacher', cases: ['teacher_fallback', 'teacher_wrong'] }).join(' ')).toMatch(
      /teacher’s answer is chosen.*missed it as well.*it is wrong/,
    );
  });
});

const read = (name: string): { bytes: Buffer; recording: Recording } => {
  const bytes = readFileSync(new URL(`../../../src/app/lesson/${name}`, import.meta.url));
  return { bytes, recording: asRecording(JSON.parse(bytes.toString('utf8'))) };
};
const told = <T extends SessionEvent['type']>({ events }: Recording, type: T): Extract<SessionEvent, { type: T }>[] =>
  events.flatMap(([, event]) => (event.type === type ? [event as Extract<SessionEvent, { type: T }>] : []));

describe('the recording of the lesson', () => {
  const { bytes, recording } = read('recording.json');
  const { about } = recording;

  it('is less than 150 kB when compressed, and its foretaste less than 12', () => {
    expect(gzipSync(bytes).byteLength).toBeLessThan(150_000);
    expect(gzipSync(read('preview.json').bytes).byteLength).toBeLessThan(12_000);
  });

  it('says where it comes from', () => {
    expect(about.adapter).not.toBe('');
    expect(about.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(Number.isNaN(Date.parse(about.recordedAt))).toBe(false);
    expect(about.seed).toBe(0);
  });

  it('is a whole run: its rows are those of its report, its counts those of its pairs', () => {
    expect(told(recording, 'evaluation').map(({ row }) => row)).toEqual(about.evaluations);
    expect(told(recording, 'pairs').at(-1)!.counts).toEqual(about.pairs);
    const pairs = told(recording, 'pair');
    expect(pairs[0]!.total).toBe(about.pairs['pairs']);
    expect(pairs).toHaveLength(Math.min(64, about.pairs['pairs']!));
    const demonstrations = told(recording, 'demonstration');
    expect(demonstrations).toHaveLength(Math.min(64, demonstrations[0]!.total));
    expect(told(recording, 'sampled').filter(({ which }) => which === 'y')).toHaveLength(demonstrations.length);
    expect(told(recording, 'state').at(-1)!.state).toBe('finished');
    for (const { taskId, rows } of comparedRows(about.evaluations)) {
      for (const { label, row } of rows) expect(row?.n, `${taskId} ${label}`).toBeGreaterThanOrEqual(100);
    }
    // A pair that is chosen from the student is the ŷ of the same run that reached the target.
    const right = told(recording, 'sampled').filter(({ which, correct }) => which === 'y-hat' && correct);
    const own = pairs.filter(({ chosenFrom }) => chosenFrom === 'student');
    expect(own.length).toBeGreaterThan(0);
    for (const { chosen } of own) expect(right.map(({ text }) => text)).toContain(chosen);
  });

  it('names no place of the machine that made it', () => {
    expect(bytes.toString('utf8')).not.toMatch(/\/(tmp|home|root|work|Users)\//);
  });

  it.each([[{}], [null], [{ format: 'pupil-recording', version: 2 }], [{ ...recording, events: [[5, {}]] }]])(
    'refuses %j',
    (document) => {
      expect(() => asRecording(document)).toThrow(/recording: expected/);
    },
  );
});
