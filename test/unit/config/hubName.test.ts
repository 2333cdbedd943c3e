// Names of models: what a person types or pastes, and what a session makes of it.
import { describe, expect, it } from 'vitest';
import { hubFolder, hubText, parseHubName, splitHubPath } from '../../../src/config/hubName';

describe('a model named by a person', () => {
  const GOOD: [string, object][] = [
    ['Qwen/Qwen2.5-0.5B-Instruct', { repo: 'Qwen/Qwen2.5-0.5B-Instruct' }],
    ['hub:a/b@v1.0', { repo: 'a/b', revision: 'v1.0' }],
    ['hub:a/b@refs/pr/3', { repo: 'a/b', revision: 'refs/pr/3' }],
    [' https://huggingface.co/a/b ', { repo: 'a/b' }],
    ['https://huggingface.co/a/b/tree/dev', { repo: 'a/b', revision: 'dev' }],
    ['https://hf.co/a/b/blob/refs%2Fpr%2F1/config.json?x=1#y', { repo: 'a/b', revision: 'refs/pr/1' }],
    ['https://huggingface.co/a/b/resolve/refs/pr/1/config.json', { repo: 'a/b', revision: 'refs/pr/1' }],
    ['https://huggingface.co/a/b/discussions/4', { repo: 'a/b' }],
  ];
  for (const [text, name] of GOOD) it(text, () => expect(parseHubName(text)).toEqual(name));

  const BAD = [
    '',
    'gpt2',
    'a/b/c',
    '../b',
    'a/..',
    'a/b--c',
    '/a/b',
    'a b/c',
    'a/b@',
    'a/b@../x',
    'a/b@x y',
    'a/b@-x',
    'hub:a/b@x?y',
    'https://huggingface.co/datasets/a/b',
    'https://example.org/a/b',
    'https://huggingface.co.evil.example/a/b',
  ];
  for (const text of BAD) {
    it(`${JSON.stringify(text)} is refused`, () => {
      expect(() => parseHubName(text)).toThrow(expect.objectContaining({ code: 'config' }) as Error);
    });
  }
});

it('as a folder among a session’s files, and back', () => {
  for (const name of [
    { repo: 'a/b' },
    { repo: 'a/b', revision: 'refs/pr/1' },
    { repo: 'a/b.c', revision: 'main', endpoint: 'http://127.0.0.1:8080/x~y' },
  ]) {
    expect(splitHubPath(`${hubFolder(name)}/sub/config.json`)).toEqual({ name, path: 'sub/config.json' });
    expect(splitHubPath(hubFolder(name))).toEqual({ name, path: '' });
    expect(hubFolder(name)).toMatch(/^[a-zA-Z][a-zA-Z0-9+.-]+:/); // so that paths.ts leaves it alone
  }
  expect(splitHubPath('student/config.json')).toBeUndefined();
  expect(hubText({ repo: 'a/b', revision: 'main' })).toBe('hub:a/b@main');
  expect(() => splitHubPath('hub:nothing')).toThrow(/owner\/name/);
});
