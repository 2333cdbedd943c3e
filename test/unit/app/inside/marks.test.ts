// Where a target is written in a text: numbers by value, options by letter, other answers word by word.
import { describe, expect, it } from 'vitest';
import { blocksOf, placesOf, segmentsOf, touchesTarget } from '../../../../src/app/inside/marks';

const found = (text: string, wanted: string): string[] =>
  placesOf(text, wanted).map(({ from, to }) => text.slice(from, to));

describe('placesOf', () => {
  it.each([
    ['21 + 8 = 29. The answer is 29.', '29', ['29', '29']],
    ['It costs 1,234 or 1234.0, not 12345.', '1234', ['1,234', '1234.0']],
    ['From 5-7 we take 5.', '5', ['5', '5']],
    ['From 5-7 we take 7.', '7', ['7', '7']],
    ['It is -7, not 7.', '-7', ['-7']],
    ['It is -7, not 7.', '7', ['7']],
    ['We need fruit D) melon. The answer is D.', 'D', ['D)', 'D']],
    ['A dog chose (A).', 'A', ['(A)']],
    ['I think A bird', 'A', []],
    ['Yes, yesterday: yes', 'yes', ['Yes', 'yes']],
    ['x+1 (x+1)', 'x+1', ['x+1', 'x+1']],
    ['anything', '', []],
  ])('%j holds %j as %j', (text, wanted, places) => {
    expect(found(text, wanted)).toEqual(places);
  });

  it('takes a megabyte of one word in its stride', () => {
    const start = performance.now();
    expect(placesOf('a'.repeat(1_000_000), 'A')).toEqual([]);
    expect(placesOf('7'.repeat(1_000_000), '7')).toEqual([]);
    expect(placesOf('('.repeat(1_000_000), 'B')).toEqual([]);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe('segmentsOf', () => {
  it('cuts the text into pieces that are the text, the last reading of the answer marked', () => {
    const text = 'First 7, then 29. So 29 and 30.';
    const pieces = segmentsOf(text, '30', '29');
    expect(pieces.map((piece) => piece.text).join('')).toBe(text);
    expect(pieces.filter((piece) => piece.answer).map((piece) => piece.text)).toEqual(['29']);
    expect(pieces.findIndex((piece) => piece.answer)).toBe(1);
    expect(pieces.filter((piece) => piece.target).map((piece) => piece.text)).toEqual(['30']);
    expect(segmentsOf('', '1')).toEqual([]);
  });
});

describe('touchesTarget', () => {
  it('marks every token that is part of the target', () => {
    expect(touchesTarget(['The', ' answer', ' is', ' 2', '9', '.', ''], '29')).toEqual([
      false,
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
  });
});

describe('blocksOf', () => {
  it('cuts at line breaks, else anywhere but within a sign, and loses nothing', () => {
    expect(blocksOf('ab\ncd\nef', 5)).toEqual(['ab\ncd', 'ef']);
    expect(blocksOf('abcdefg', 3)).toEqual(['abc', 'def', 'g']);
    expect(blocksOf('ab👩cd', 3)).toEqual(['ab', '👩c', 'd']);
    expect(blocksOf('')).toEqual([]);
    expect(blocksOf('x'.repeat(100_001)).join('')).toHaveLength(100_001);
  });
});
