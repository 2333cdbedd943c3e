// hubName.ts: how a model of a Hugging Face Hub is named: in an experiment file, on a command line, as a pasted address, and
// as a folder among a session's files. Texts only: nothing is fetched.
import { PupilError } from '../base/errors';

/** The Hub itself. Any server with its layout of addresses can stand in for it. */
export const HUB_ENDPOINT = 'https://huggingface.co';

export interface HubName {
  /** `owner/name`. */
  repo: string;
  /** A branch, tag or commit; `main` where absent. */
  revision?: string;
  /** Base URL of another server with the Hub's layout. */
  endpoint?: string;
}

const PART = '[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_-])?';
/** `owner/name` as the Hub allows it: letters, digits, ".", "_" and "-", neither ".." nor "--" in it. */
export const REPO_PATTERN = new RegExp(`^(?!.*(?:\\.\\.|--))${PART}/${PART}$`);
/** What Git allows, and a URL can carry: no spaces, none of `~ ^ : ? * [ \` and no "..". */
export const REVISION_PATTERN = /^(?!.*(?:\.\.|\/\/|@\{|[~^:?*[\]\\#%]))[A-Za-z0-9_][!-~\u00a1-\uffff]{0,254}$/;

const SCHEME = 'hub:';

function refused(text: string, hint: string): PupilError {
  return new PupilError('config', `hub: expected owner/name, got ${JSON.stringify(text.slice(0, 200))}`, hint);
}

/** @throws PupilError `config` where repository, revision or endpoint cannot be one. */
export function expectHubName(name: HubName): HubName {
  if (!REPO_PATTERN.test(name.repo)) {
    throw refused(name.repo, 'As it stands over the model’s page, e.g. HuggingFaceTB/SmolLM2-135M-Instruct.');
  }
  if (name.revision !== undefined && !REVISION_PATTERN.test(name.revision)) {
    throw new PupilError(
      'config',
      `hub: expected a branch, tag or commit, got ${JSON.stringify(name.revision.slice(0, 200))}`,
      'E.g. main, v1.0, refs/pr/3, or the 40 digits of a commit.',
    );
  }
  return name.endpoint === undefined ? name : { ...name, endpoint: expectEndpoint(name.endpoint) };
}

/** A base URL without a slash at its end. @throws PupilError `config` */
export function expectEndpoint(text: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // told below
  }
  if (
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    url.username + url.password + url.search + url.hash === ''
  ) {
    return url.href.replace(/\/+$/, '');
  }
  throw new PupilError(
    'config',
    // What may be a password is not repeated.
    `hub: expected the base URL of a server, got ${url === undefined ? JSON.stringify(text.slice(0, 200)) : `one with ${url.protocol}// and a user, password, query or #`}`,
    'E.g. https://huggingface.co or http://192.168.1.5:8000.',
  );
}

/**
 * A model as a person names it: `owner/name`, `hub:owner/name@revision`, or the address of its page, or of a file of it.
 * @param endpoint an address under it, or under huggingface.co, is one of a model.
 * @throws PupilError `config` saying what is wrong.
 */
export function parseHubName(text: string, endpoint = HUB_ENDPOINT): HubName {
  const trimmed = text.trim();
  if (/^https?:\/\//i.test(trimmed)) {
    const name = hubNameOfUrl(trimmed, endpoint);
    if (name !== undefined) return name;
    throw refused(trimmed, `An address must be that of a model at ${endpoint}.`);
  }
  const [, repo = '', revision] = /^(?:hub:)?([^@]*)(?:@(.*))?$/s.exec(trimmed) ?? [];
  return expectHubName({ repo, ...(revision === undefined ? {} : { revision }) });
}

/** The model of a page's or file's address; undefined where the address is elsewhere. @throws PupilError `config` */
export function hubNameOfUrl(text: string, endpoint = HUB_ENDPOINT): HubName | undefined {
  const base = [endpoint, HUB_ENDPOINT, 'https://www.huggingface.co', 'https://hf.co'].find(
    (one) => text === one || text.startsWith(`${one}/`),
  );
  if (base === undefined) return undefined;
  const [path = ''] = text.slice(base.length + 1).split(/[?#]/);
  const [owner = '', name = '', kind, ...rest] = path.split('/').filter((part) => part !== '');
  if (['datasets', 'spaces', 'api', 'docs', 'collections', 'papers'].includes(owner)) {
    throw refused(text, `That is not the page of a model but of ${owner}.`);
  }
  const revision = kind !== undefined && ['tree', 'blob', 'resolve', 'raw', 'commit'].includes(kind) ? rest : [];
  // refs/pr/3 is one name of three parts; any other name with slashes cannot be told from a folder.
  const parts = revision[0] === 'refs' ? revision.slice(0, 3) : revision.slice(0, 1);
  return expectHubName({
    repo: `${owner}/${name}`,
    ...(parts.length === 0 ? {} : { revision: decodeURIComponent(parts.join('/')) }),
    ...(base === endpoint && endpoint !== HUB_ENDPOINT ? { endpoint } : {}),
  });
}

/** For reports and messages: `hub:owner/name@revision`. */
export function hubText({ repo, revision }: HubName): string {
  return revision === undefined ? `${SCHEME}${repo}` : `${SCHEME}${repo}@${revision}`;
}

/** A model as a folder among a session's files: its files are `<folder>/config.json` and so on. */
export function hubFolder({ repo, revision, endpoint }: HubName): string {
  const at = revision === undefined ? '' : `@${encodeURIComponent(revision)}`;
  return `${SCHEME}${endpoint === undefined ? '' : `${encodeURIComponent(endpoint)};`}${repo}${at}`;
}

/** The inverse of {@link hubFolder}, for a path in it; undefined for a path of another kind. @throws PupilError `config` */
export function splitHubPath(path: string): { name: HubName; path: string } | undefined {
  if (!path.startsWith(SCHEME)) return undefined;
  const [, endpoint, repo = '', revision, rest = ''] =
    /^hub:(?:([^;/]*);)?([^/@]*\/[^/@]*)(?:@([^/]*))?(?:\/(.*))?$/s.exec(path) ?? [];
  const name = expectHubName({
    repo,
    ...(revision === undefined ? {} : { revision: decoded(revision) }),
    ...(endpoint === undefined ? {} : { endpoint: decoded(endpoint) }),
  });
  return { name, path: rest };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused(text, 'A "%" in it is not followed by two digits.');
  }
}
