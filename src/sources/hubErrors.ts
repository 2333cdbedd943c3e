// hubErrors.ts: what a Hub's refusal means and what a person can do about it. The Hub says it in `x-error-code`; a mirror that
// does not, or hides it from a page, is judged by its status. It makes no requests.
import { PupilError } from '../base/errors';
import { hubText, type HubName } from '../config/hubName';
import { shownUrl, type Reply } from './request';

export interface HubAsked extends HubName {
  endpoint: string;
  /** Whether a token was sent. */
  withToken: boolean;
  /** The server's own words, without what must not be shown. */
  clean: (text: string) => string;
}

type Refusal = 'gated' | 'repo' | 'revision' | 'token' | 'disabled' | 'other';

const CODES: Readonly<Record<string, Refusal>> = {
  GatedRepo: 'gated',
  RepoNotFound: 'repo',
  RevisionNotFound: 'revision',
  DisabledRepo: 'disabled',
};

/** A page is told only of headers that the server exposes; huggingface.co exposes both of these. */
function refusalOf({ response }: Reply, withToken: boolean): Refusal {
  const known = CODES[response.headers.get('x-error-code') ?? ''];
  const message = response.headers.get('x-error-message') ?? '';
  if (response.status === 401 && withToken && /invalid (credentials|user ?token)|token.*expired/i.test(message)) {
    return 'token';
  }
  if (known !== undefined) return known;
  // Whoever is not known is not told whether a private model is there.
  if (response.status === 401) return withToken ? 'token' : 'repo';
  return response.status === 403 ? 'gated' : 'other';
}

/** Status 404 because of the file alone, not of its repository or revision. */
export function isMissingFile({ response }: Reply): boolean {
  const code = response.headers.get('x-error-code');
  return [404, 410].includes(response.status) && (code === null || code === 'EntryNotFound');
}

/** @returns a `source` error: what is the matter with this model at this server, and what to do. */
export function hubError(reply: Reply, asked: HubAsked): PupilError {
  const { response, url } = reply;
  const { endpoint, withToken, clean, repo, revision = 'main' } = asked;
  const model = hubText(asked);
  const page = `${endpoint}/${repo}`;
  const makeToken = `make a token that may read it at ${endpoint}/settings/tokens and give it to Pupil (the command line reads HF_TOKEN)`;
  const error = (what: string, hint: string): PupilError =>
    new PupilError('source', `${model}: ${what} (status ${response.status} from ${shownUrl(url)})`, hint);
  switch (refusalOf(reply, withToken)) {
    case 'gated':
      return error(
        'expected access, the model is only for those who have accepted its licence',
        withToken
          ? `Accept the licence at ${page} with the account that the token belongs to; a fine-grained token must also be allowed to read gated models.`
          : `Accept the licence at ${page}, then ${makeToken}.`,
      );
    case 'repo':
      return error(
        'expected a model, there is none of that name, or it is private',
        `Check the name at ${page}. For a private model ${withToken ? 'the token must be of an account that may see it' : makeToken}.`,
      );
    case 'revision':
      return error(
        `expected the revision ${revision}, the model has none of that name`,
        `Its branches, tags and commits are at ${page}/tree/main.`,
      );
    case 'token':
      return error(
        'expected a valid token, the server refuses the one it was sent',
        `It may have been revoked or have run out: ${makeToken}, or use none for a public model.`,
      );
    case 'disabled':
      return error('expected a model, this one was disabled by the Hub', `See ${page}.`);
    case 'other': {
      const said = clean(response.headers.get('x-error-message') ?? response.statusText).slice(0, 300);
      return error(`expected the file, got ${said === '' ? 'a refusal' : JSON.stringify(said)}`, `See ${page}.`);
    }
  }
}
