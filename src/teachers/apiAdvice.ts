// apiAdvice.ts: what to do where no connection came about. A page's fetch says only "TypeError" whatever the cause (CORS, a
// refused permission, mixed content, a server that is off), so the words follow from who asks whom. It sends nothing.
import type { ApiProvider } from '../config/apiProviders';
import type { QueueEnd } from './apiQueue';

/** How close an address is to whoever asks. */
export type Nearness = 'loopback' | 'local' | 'public';

/** Of a host as it stands in a URL. A name without a dot is one of a local network. */
export function nearnessOf(host: string): Nearness {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '');
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127\./.test(name)) return 'loopback';
  const private4 = /^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.)/.test(name);
  const private6 = name.includes(':') && /^(f[cd]|fe[89ab])/.test(name);
  const localName = /\.(local|lan|internal|home\.arpa)$/.test(name) || !/[.:]/.test(name);
  return private4 || private6 || localName ? 'local' : 'public';
}

/** How a server of one's own is told to answer a page of another origin. */
function corsFix(provider: Pick<ApiProvider, 'id' | 'title'>, origin: string): string {
  switch (provider.id) {
    case 'ollama':
      return `Start Ollama with OLLAMA_ORIGINS=${origin} in its environment (without it, only pages of its own machine may ask).`;
    case 'vllm':
      return `vLLM allows every page unless it was started with --allowed-origins: then add --allowed-origins '["${origin}"]'.`;
    case 'llama.cpp':
      return 'The llama.cpp server allows every page; where a proxy stands in front of it, that must too.';
    case 'other':
      return `The server must answer with Access-Control-Allow-Origin: ${origin} and allow the headers authorization and content-type.`;
    default:
      return `Where ${provider.title} does not answer pages (CORS), use the command line: pupil teach asks without a page.`;
  }
}

/** How a server of one's own is started, for where it may be off. */
const START: Readonly<Record<string, string>> = {
  ollama: 'Is Ollama running (ollama serve)?',
  vllm: 'Is vLLM running (vllm serve MODEL)?',
  'llama.cpp': 'Is the server running (llama-server -m MODEL.gguf)?',
};

/** Node's names of causes, in words. */
const CAUSES: readonly [RegExp, string][] = [
  [/ECONNREFUSED/, 'Nothing listens at that address.'],
  [/ENOTFOUND|EAI_AGAIN/, 'The name of the server is not known: check the base URL and the network.'],
  [
    /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/,
    "The server's certificate is not trusted: NODE_EXTRA_CA_CERTS names one to trust.",
  ],
  [
    /ETIMEDOUT|CONNECT_TIMEOUT|EHOSTUNREACH|ENETUNREACH/,
    'The server cannot be reached: check the network and a proxy.',
  ],
];

/**
 * What may be wrong and what mends it, a sentence or more; never empty.
 *
 * @param pageOrigin of the page that asks; undefined on the command line.
 * @param error what was told of the failure, e.g. "fetch failed: ECONNREFUSED" or "Failed to fetch".
 */
export function connectionAdvice(
  provider: Pick<ApiProvider, 'id' | 'title'>,
  baseUrl: string,
  pageOrigin: string | undefined,
  error: string,
): string {
  const target = new URL(baseUrl);
  const start = START[provider.id];
  const words: string[] = [];
  if (pageOrigin === undefined) {
    const cause = CAUSES.find(([pattern]) => pattern.test(error))?.[1];
    words.push(cause ?? `Check that ${target.host} can be reached from this machine.`);
    if (start !== undefined) words.push(start);
    return words.join(' ');
  }

  const from = new URL(pageOrigin);
  const nearness = nearnessOf(target.hostname);
  const ownNearness = nearnessOf(from.hostname);
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    // Chrome and Firefox let https pages ask the machine itself; for a network's other machines the permission decides.
    if (nearness === 'public') {
      return `A page on https may not ask ${target.host} over http (mixed content): give an https address, or use pupil teach on the command line.`;
    }
    if (nearness === 'local') {
      words.push(
        `A page on https reaches ${target.host} over http only where the browser grants access to the local network; if it does not, open Pupil from http://localhost (npm start).`,
      );
    } else
      words.push(
        'Safari lets no https page ask this machine over http: use Chrome, or open Pupil from http://localhost.',
      );
  }
  if (nearness !== 'public' && ownNearness !== 'loopback' && ownNearness !== nearness) {
    words.push(
      from.protocol === 'https:'
        ? `Chrome asks before a page may reach ${nearness === 'loopback' ? 'this machine' : 'the local network'}: allow it (the icon left of the address, "Local network access" or "Apps on device").`
        : `Chrome lets no page of http://${from.host} reach ${nearness === 'loopback' ? 'this machine' : 'the local network'}: serve Pupil over https or open it from http://localhost.`,
    );
  }
  // Ollama answers pages of its own machine as it comes.
  if (provider.id !== 'ollama' || ownNearness !== 'loopback') words.push(corsFix(provider, from.origin));
  if (start !== undefined) words.push(start);
  else if (nearness === 'public') words.push('Also check the network, and extensions that block requests.');
  return words.join(' ');
}

/** Why the work is over, and what a person can do; undefined where it is simply done. */
export function endInWords(
  { reason, failure, error }: QueueEnd,
  provider: Pick<ApiProvider, 'id' | 'title' | 'keyVariable'>,
  baseUrl: string,
  pageOrigin: string | undefined,
): { message: string; advice: string } | undefined {
  const said = failure?.message ?? '';
  switch (reason) {
    case 'finished':
      return undefined;
    case 'stopped':
      return { message: 'stopped as asked', advice: 'Start it again to go on: what was answered is kept.' };
    case 'budget':
      return {
        message: 'the budget leaves no room for the worst case of another request',
        advice: 'Raise the budget, or lower the limit of tokens an answer, and start it again to go on.',
      };
    case 'wait':
      return {
        message: `the server asks to wait for ${Math.ceil((failure?.retryAfterMs ?? 0) / 1000)} s (${said})`,
        advice: 'Start it again then: what was answered is kept.',
      };
    case 'broken':
      return {
        message: `an answer could not be kept: ${error instanceof Error ? error.message : String(error)}`,
        advice: 'What was answered is delivered all the same; make room, then start it again to go on.',
      };
    case 'refused':
      return { message: said, advice: refusalAdvice(failure?.reason, provider, baseUrl) };
    case 'failing':
      return {
        message: `too many questions in a row failed, the last with: ${said}`,
        advice:
          failure?.reason === 'network' || failure?.reason === 'timeout'
            ? connectionAdvice(provider, baseUrl, pageOrigin, said)
            : (FAILING_ADVICE[failure?.reason ?? ''] ?? 'Something is wrong with all of them: mend it, then go on.'),
      };
  }
}

function refusalAdvice(
  reason: string | undefined,
  provider: Parameters<typeof endInWords>[1],
  baseUrl: string,
): string {
  switch (reason) {
    case 'unauthorised':
      return `Check the key and what it is allowed (${provider.keyVariable} on the command line).`;
    case 'payment':
      return 'Add credit to the account, then start it again to go on.';
    case 'redirect':
      return 'Give the address that the request is sent on to as the base URL: a key is not carried along.';
    default:
      return `Check the name of the model and the base URL ${baseUrl}, which usually ends with /v1${
        provider.id === 'ollama' ? '; `ollama list` names the models, `ollama pull MODEL` fetches one' : ''
      }.`;
  }
}

const FAILING_ADVICE: Readonly<Record<string, string>> = {
  'cut-off': 'Raise the limit of tokens an answer (--max-tokens): it is too low for these answers.',
  rejected: 'The server refuses these requests: check model, temperature and the other settings by its message.',
  'rate-limit': 'Lower the number of requests at once, or go on later.',
  html: 'The base URL may be that of a web page, or a proxy wants a login.',
  model: 'The model in this browser fails: fewer tokens an answer, a smaller model or another device may do.',
  duplicate: 'A proxy between here and the server keeps answers without looking at the question: go around it.',
};
