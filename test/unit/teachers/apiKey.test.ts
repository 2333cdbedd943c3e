// apiKey.test.ts: a server that knows the key repeats it where it can: escaped as JSON allows, at the place where a message is
// cut, in the fields that tell two responses apart. No part of it may be in what a request comes to.
import { describe, expect, it } from 'vitest';
import { systemClock, keyRemover, sendRequest } from '../../../src/teachers/apiRequest';

const KEY = 'sk-very/secret+0123456789"\\x';

/** Every character as JSON may write it. */
const escaped = (text: string): string =>
  Array.from(text, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()}`).join('');
const json = (text: string): string => JSON.stringify(text).slice(1, -1);

const openai = (message: string, more = ''): string =>
  `{"id":"a","choices":[{"finish_reason":"stop","message":${message}}],"usage":{"prompt_tokens":1,"completion_tokens":1}${more}}`;
const ok = '{"content":"A"}';

async function outcomeOf(status: number, body: string, dialect: 'openai' | 'anthropic' = 'openai'): Promise<string> {
  const outcome = await sendRequest(
    { dialect, baseUrl: 'https://teacher.test/v1', model: 'm', maxTokens: 8, prompt: 'x', sample: 0 },
    {
      fetch: () => Promise.resolve(new Response(body, { status })),
      clock: systemClock,
      key: KEY,
      limitField: 'max_tokens',
      timeouts: { firstByteMs: 1000, totalMs: 1000 },
      signal: new AbortController().signal,
    },
  );
  return JSON.stringify(outcome);
}

describe('a key that the server repeats', () => {
  it.each<[string, number, string, ('openai' | 'anthropic')?]>([
    ['escaped in an error', 400, `{"error":{"message":"bad ${escaped(KEY)}"}}`],
    ['escaped in a text that is no JSON', 500, `oops ${escaped(KEY)}`],
    ['where an error is cut', 400, `{"error":{"message":"${'x'.repeat(285)}${json(KEY)}"}}`],
    ['escaped where an error is cut', 400, `{"error":{"message":"${'x'.repeat(285)}${escaped(KEY)}"}}`],
    ['where a refusal is cut', 200, openai(`{"content":null,"refusal":"${'x'.repeat(285)}${json(KEY)}"}`)],
    ["where the model's name is cut", 200, openai(ok, `,"model":"${'x'.repeat(285)}${json(KEY)}"`)],
    ['in the id', 200, openai(ok, `,"id":"id-${json(KEY)}"`)],
    ['in the usage', 200, openai(ok, `,"usage":{"prompt_tokens":1,"completion_tokens":1,"for":"${json(KEY)}"}`)],
    ['as a name in the usage', 200, openai(ok, `,"usage":{"prompt_tokens":1,"completion_tokens":1,"${json(KEY)}":1}`)],
    ['in the text', 200, openai(`{"content":"you are ${escaped(KEY)}"}`)],
    ['escaped in a body that is cut off', 200, `{"id":"${escaped(KEY)}`],
    ['in an error of status 200', 200, `{"error":{"message":"${escaped(KEY)}","code":500}}`],
    [
      "in the id of Anthropic's dialect",
      200,
      `{"id":"${json(KEY)}","content":[{"type":"text","text":"A"}]}`,
      'anthropic',
    ],
  ])('is taken out %s', async (_, status, body, dialect) => {
    const outcome = await outcomeOf(status, body, dialect);
    for (const part of ['sk-very', 'sk-ve', 'secret', '0123456', 'u0073', 'U0073']) expect(outcome).not.toContain(part);
  });

  it('leaves other texts, and keys that are ordinary words, as they are', () => {
    expect(keyRemover('a.b.c.d.e')('aXbXcXdXe a.b.c.d.e')).toBe('aXbXcXdXe [key]');
    expect(keyRemover('ollama')('ollama')).toBe('ollama');
    expect(keyRemover(undefined)('x')).toBe('x');
  });
});
