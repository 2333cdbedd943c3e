// apiProviders.ts: the services and servers that a teacher may be asked at, as data: base URL, dialect, key, pace; and how an
// address and a key are read. It sends nothing and knows no model: models come and go, and any address of the same dialect
// serves as well.
import { PupilError } from '../base/errors';

/** `openai`: POST {base}/chat/completions. `anthropic`: POST {base}/messages. */
export type ApiDialect = 'openai' | 'anthropic';

export interface ApiProvider {
  readonly id: string;
  readonly title: string;
  readonly dialect: ApiDialect;
  /** With its version, without a slash at the end. Absent: it must be given. */
  readonly baseUrl?: string;
  readonly key: 'required' | 'optional';
  /** Where the provider's own tools look for a key. */
  readonly keyVariable: string;
  /** The field that bounds an answer; OpenAI's newer models refuse the older name. */
  readonly limitField: 'max_tokens' | 'max_completion_tokens';
  /** Requests at once: at the beginning, and at most. */
  readonly concurrency: { readonly start: number; readonly most: number };
  /**
   * Until the answer's headers, and until its last byte. Answers are not streamed: most servers send no header before the
   * last token is made, and a machine of one's own makes them one request after the other. Node's fetch gives up after
   * 300 s whatever is said here.
   */
  readonly timeouts: ApiTimeouts;
}

export interface ApiTimeouts {
  readonly firstByteMs: number;
  readonly totalMs: number;
}

const SERVICE = { concurrency: { start: 8, most: 64 }, timeouts: { firstByteMs: 120_000, totalMs: 180_000 } };
const OWN_SERVER = { timeouts: { firstByteMs: 290_000, totalMs: 295_000 } };

export const API_PROVIDERS = [
  {
    ...SERVICE,
    id: 'openai',
    title: 'OpenAI',
    dialect: 'openai',
    baseUrl: 'https://api.openai.com/v1',
    key: 'required',
    keyVariable: 'OPENAI_API_KEY',
    limitField: 'max_completion_tokens',
  },
  {
    ...SERVICE,
    id: 'anthropic',
    title: 'Anthropic',
    dialect: 'anthropic',
    baseUrl: 'https://api.anthropic.com/v1',
    key: 'required',
    keyVariable: 'ANTHROPIC_API_KEY',
    limitField: 'max_tokens',
    concurrency: { start: 4, most: 32 },
  },
  {
    ...SERVICE,
    id: 'openrouter',
    title: 'OpenRouter',
    dialect: 'openai',
    baseUrl: 'https://openrouter.ai/api/v1',
    key: 'required',
    keyVariable: 'OPENROUTER_API_KEY',
    limitField: 'max_tokens',
  },
  {
    ...SERVICE,
    id: 'together',
    title: 'Together',
    dialect: 'openai',
    baseUrl: 'https://api.together.xyz/v1',
    key: 'required',
    keyVariable: 'TOGETHER_API_KEY',
    limitField: 'max_tokens',
  },
  {
    ...SERVICE,
    id: 'groq',
    title: 'Groq',
    dialect: 'openai',
    baseUrl: 'https://api.groq.com/openai/v1',
    key: 'required',
    keyVariable: 'GROQ_API_KEY',
    limitField: 'max_tokens',
    concurrency: { start: 2, most: 16 }, // its free limits are low
  },
  {
    ...OWN_SERVER,
    id: 'vllm',
    title: 'vLLM',
    dialect: 'openai',
    baseUrl: 'http://localhost:8000/v1',
    key: 'optional',
    keyVariable: 'VLLM_API_KEY',
    limitField: 'max_tokens',
    concurrency: { start: 16, most: 128 }, // it batches
  },
  {
    ...OWN_SERVER,
    id: 'llama.cpp',
    title: 'llama.cpp server',
    dialect: 'openai',
    baseUrl: 'http://localhost:8080/v1',
    key: 'optional',
    keyVariable: 'LLAMA_API_KEY',
    limitField: 'max_tokens',
    concurrency: { start: 1, most: 4 }, // as many as --parallel has slots
  },
  {
    ...OWN_SERVER,
    id: 'ollama',
    title: 'Ollama',
    dialect: 'openai',
    baseUrl: 'http://localhost:11434/v1',
    key: 'optional',
    keyVariable: 'OLLAMA_API_KEY',
    limitField: 'max_tokens',
    concurrency: { start: 1, most: 4 }, // as OLLAMA_NUM_PARALLEL says
  },
  {
    ...SERVICE,
    id: 'other',
    title: 'another OpenAI-compatible server',
    dialect: 'openai',
    key: 'optional',
    keyVariable: 'TEACHER_API_KEY',
    limitField: 'max_tokens',
    concurrency: { start: 4, most: 64 },
  },
] as const satisfies readonly ApiProvider[];

/** @throws PupilError `usage` for a name that is none of them. */
export function findProvider(id: string): ApiProvider {
  const found = API_PROVIDERS.find((provider) => provider.id === id);
  if (found !== undefined) return found;
  const known = API_PROVIDERS.map((provider) => provider.id).join(', ');
  throw new PupilError(
    'usage',
    `teacher: expected a provider of ${known}, got ${JSON.stringify(id)}`,
    'Any server that speaks as OpenAI does is reached by its base URL alone.',
  );
}

/**
 * A base URL as it is used: without a slash, and without the endpoint where somebody pasted that too.
 *
 * @throws PupilError `usage` for what is no http(s) address, and for one that carries a name, a password, a query or a
 *   fragment: a key belongs into none of them, and an address is written down (the text itself is not repeated then).
 */
export function readBaseUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new PupilError(
      'usage',
      `teacher: expected a base URL such as https://host/v1, got ${JSON.stringify(text.slice(0, 80))}`,
      'It begins with http:// or https:// and usually ends with /v1.',
    );
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new PupilError(
      'usage',
      `teacher: expected a base URL without a name, password, query or fragment, got one of ${url.host}`,
      'Give the key as a key: addresses appear in reports and caches.',
    );
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new PupilError('usage', `teacher: expected an http or https base URL, got ${url.protocol}//${url.host}`);
  }
  return url.href.replace(/\/+$/, '').replace(/\/(chat\/completions|messages)$/, '');
}

/**
 * A key as it may stand in a header, without white space around it; undefined where there is none.
 *
 * @throws PupilError `usage` for characters that no header carries. (The platform's own error would repeat the key.)
 */
export function readKey(text: string | undefined): string | undefined {
  const key = text?.trim() ?? '';
  if (key === '') return undefined;
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new PupilError(
    'usage',
    'teacher: expected a key of printable ASCII characters without spaces, got something else (not shown)',
    'It may have been copied with more around it.',
  );
}
