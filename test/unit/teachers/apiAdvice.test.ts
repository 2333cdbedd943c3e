// apiAdvice.test.ts: what a person is told where a teacher cannot be reached, by provider, page and failure; providers, base
// URLs and keys as they are read; pace and back-off as rules.
import { describe, expect, it } from 'vitest';
import { API_PROVIDERS, findProvider, readBaseUrl, readKey, type ApiProvider } from '../../../src/config/apiProviders';
import { connectionAdvice, endInWords, nearnessOf } from '../../../src/teachers/apiAdvice';
import { backoffMs, retryAfterMs } from '../../../src/base/pace';
import { RandomStream } from '../../../src/base/random';

const advise = (id: string, origin: string | undefined, base?: string, error = 'Failed to fetch'): string => {
  const provider: ApiProvider = findProvider(id);
  return connectionAdvice(provider, base ?? provider.baseUrl ?? 'https://h/v1', origin, error);
};

describe('from a page', () => {
  it.each([
    [
      'ollama',
      'https://pupil.example',
      undefined,
      [
        'OLLAMA_ORIGINS=https://pupil.example',
        'Chrome asks before a page may reach this machine',
        'Safari',
        'ollama serve',
      ],
    ],
    [
      'ollama',
      'http://pupil.example',
      undefined,
      ['Chrome lets no page of http://pupil.example reach this machine', 'OLLAMA_ORIGINS'],
    ],
    [
      'vllm',
      'https://pupil.example',
      'http://192.168.1.5:8000/v1',
      ['--allowed-origins \'["https://pupil.example"]\'', 'local network', 'http://localhost'],
    ],
    ['vllm', 'https://pupil.example', 'http://gpu.example:8000/v1', ['mixed content']],
    ['openai', 'https://pupil.example', undefined, ['command line', 'extensions']],
    [
      'other',
      'http://localhost:5173',
      'https://llm.example/v1',
      ['Access-Control-Allow-Origin: http://localhost:5173'],
    ],
  ] as [string, string, string | undefined, string[]][])('%s from %s at %s', (id, origin, base, parts) => {
    for (const part of parts) expect(advise(id, origin, base)).toContain(part);
  });

  it('a page of this machine needs no permission for it, and no mixed content stands in the way', () => {
    const text = advise('ollama', 'http://localhost:5173');
    expect(text).toContain('ollama serve');
    for (const part of ['Chrome', 'Safari', 'mixed', 'OLLAMA_ORIGINS']) expect(text).not.toContain(part);
  });
});

it.each([
  ['ollama', 'fetch failed: connect ECONNREFUSED 127.0.0.1:11434', ['Nothing listens', 'ollama serve']],
  ['openai', 'getaddrinfo ENOTFOUND api.openai.com', ['name of the server']],
  ['other', 'SELF_SIGNED_CERT_IN_CHAIN', ['NODE_EXTRA_CA_CERTS']],
  ['other', 'who knows', ['can be reached']],
] as [string, string, string[]][])('on the command line: %s, %s', (id, error, parts) => {
  for (const part of parts) expect(advise(id, undefined, undefined, error)).toContain(part);
});

it('every provider has words for every kind of page', () => {
  for (const { id } of API_PROVIDERS) {
    for (const origin of [
      undefined,
      'http://localhost:1',
      'https://a.example',
      'http://a.example',
      'http://10.0.0.2',
    ]) {
      expect(advise(id, origin).length).toBeGreaterThan(20);
    }
  }
});

it.each([
  ['localhost', 'loopback'],
  ['127.3.2.1', 'loopback'],
  ['[::1]', 'loopback'],
  ['192.168.0.9', 'local'],
  ['172.31.0.1', 'local'],
  ['172.32.0.1', 'public'],
  ['[fd00::1]', 'local'],
  ['[2001:db8::1]', 'public'],
  ['gpu', 'local'],
  ['gpu.local', 'local'],
  ['api.openai.com', 'public'],
  ['fd.example', 'public'],
])('%s is %s', (host, nearness) => expect(nearnessOf(host)).toBe(nearness));

it('each end but a good one has a message and advice', () => {
  const provider = findProvider('ollama');
  const failed = (reason: string) => ({
    kind: 'failure',
    reason,
    scope: 'run',
    message: 'said',
    throttled: false,
    spent: 'nothing',
  });
  expect(endInWords({ reason: 'finished' }, provider, 'http://h/v1', undefined)).toBeUndefined();
  for (const reason of ['stopped', 'budget', 'wait', 'broken', 'refused', 'failing'] as const) {
    for (const cause of ['unauthorised', 'payment', 'redirect', 'not-found', 'network', 'cut-off', 'empty']) {
      const words = endInWords({ reason, failure: failed(cause) as never }, provider, 'http://h/v1', undefined);
      expect([reason, words!.message.length > 3, words!.advice.length > 10]).toEqual([reason, true, true]);
    }
  }
  expect(
    endInWords({ reason: 'refused', failure: failed('not-found') as never }, provider, 'http://h/v1', undefined)!
      .advice,
  ).toContain('ollama pull');
});

describe('what a person types', () => {
  it.each([
    ['http://localhost:11434/v1/', 'http://localhost:11434/v1'],
    [' https://h/v1/chat/completions ', 'https://h/v1'],
    ['https://h/v1/messages', 'https://h/v1'],
    ['https://h', 'https://h'],
  ])('base URL %s', (text, expected) => expect(readBaseUrl(text)).toBe(expected));

  it.each([
    'localhost:8000',
    'ftp://h/v1',
    'nonsense',
    'https://a:SECRET@h/v1',
    'https://h/v1?key=SECRET',
    'https://h/#SECRET',
  ])('base URL %s is refused, and what may be a secret is not repeated', (text) => {
    expect(() => readBaseUrl(text)).toThrow(/base URL/);
    try {
      readBaseUrl(text);
    } catch (error) {
      expect(`${String(error)} ${(error as Error).stack}`).not.toContain('SECRET');
    }
  });

  it('keys lose the white space around them; others are refused unseen', () => {
    expect([readKey(' sk-1\n'), readKey(''), readKey(undefined)]).toEqual(['sk-1', undefined, undefined]);
    for (const key of ['SEC RET', 'SECRÉT', 'SEC\nRET']) {
      expect(() => readKey(key)).toThrow(/not shown/);
      expect(() => readKey(key)).not.toThrow(/SEC/);
    }
  });
});

describe('pace', () => {
  it.each([
    ['5', 5000],
    ['0.5', 500],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:00:10 GMT', 10_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['-5', undefined],
    ['soon', undefined],
    ['', undefined],
    ['Thu, nonsense', undefined],
  ])('retry-after: %s', (header, expected) => expect(retryAfterMs(header, Date.UTC(2026, 0, 1))).toBe(expected));

  it('back-off doubles from one second to sixty, with jitter over its upper half', () => {
    const random = new RandomStream(0, 'test');
    for (const [n, most] of [
      [1, 1000],
      [2, 2000],
      [6, 32_000],
      [7, 60_000],
      [40, 60_000],
    ] as const) {
      const waits = Array.from({ length: 200 }, () => backoffMs(n, random));
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(most / 2);
      expect(Math.max(...waits)).toBeLessThanOrEqual(most);
      expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(0.4 * most);
    }
  });
});
