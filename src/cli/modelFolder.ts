// modelFolder.ts: students and adapters as a command line names them: a folder of this machine, a student that comes with Pupil,
// a model of the Hub, an address. And what the environment says of the Hub: HF_TOKEN (or HF_TOKEN_FILE, a file that holds
// it) and HF_ENDPOINT, as Hugging Face's own tools have them. A token is never a flag.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PupilError } from '../base/errors';
import type { StudentConfig } from '../config/experiment';
import { HUB_ENDPOINT, hubFolder, hubNameOfUrl, parseHubName, type HubName } from '../config/hubName';
import type { HubSettings } from '../session/protocol';
import { expectFolder } from './files';
import { pathInRoot } from './host';
import { studentsFolder } from './project';

/** How flags that name a student are explained. */
export const STUDENT_HELP = 'a folder, a bundled student, hub:owner/name[@revision], or an address';
/** The same of an adapter. */
export const ADAPTER_HELP = 'PEFT adapter: a folder, hub:owner/name[@revision], or an address';

export interface ModelFolder {
  /** As the session names it, among the files it reads. */
  folder: string;
  /** Where it lies on this machine; absent for one that lies elsewhere. */
  path?: string;
}

/** The paths on this machine that it stands for, to be shared with a page: none where it lies elsewhere. */
export const here = (model: ModelFolder | undefined): string[] => (model?.path === undefined ? [] : [model.path]);

function elsewhere(text: string): HubName | string | undefined {
  if (text.startsWith('hub:')) return parseHubName(text);
  if (!/^https?:\/\//i.test(text)) return undefined;
  // A page of the endpoint that is set is one of a model there: the endpoint itself is the session's business.
  const name = hubNameOfUrl(text, process.env['HF_ENDPOINT']?.replace(/\/+$/, '') || HUB_ENDPOINT);
  return name === undefined
    ? text
    : { repo: name.repo, ...(name.revision === undefined ? {} : { revision: name.revision }) };
}

/** @throws PupilError `source` where there is no such folder, `config` for a name that is none. */
export function expectModelFolder(flag: string, text: string, contains: string): ModelFolder {
  const far = elsewhere(text);
  if (far !== undefined) return { folder: typeof far === 'string' ? far : hubFolder(far) };
  const path = expectFolder(flag, text, contains);
  return { folder: pathInRoot(path), path };
}

/** A student by any of its names, also as an experiment has it. A folder of the same name goes before a bundled student. */
export function expectStudent(flag: string, text: string): ModelFolder & { source: StudentConfig['source'] } {
  const far = elsewhere(text);
  if (typeof far === 'string') return { folder: far, source: { kind: 'url', url: far } };
  if (far !== undefined) return { folder: hubFolder(far), source: { kind: 'hub', ...far } };
  const bundled = join(studentsFolder(), text);
  const isBundled = /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text) && !existsSync(resolve(text)) && existsSync(bundled);
  const path = expectFolder(flag, isBundled ? bundled : text, 'config.json');
  return { folder: pathInRoot(path), path, source: { kind: 'directory', path } };
}

/** What the environment says of the Hub; undefined where it says nothing. @throws PupilError `usage` for a file not there. */
export function hubFromEnvironment(
  note: (text: string) => void,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): HubSettings | undefined {
  const endpoint = environment['HF_ENDPOINT']?.trim() ?? '';
  const file = environment['HF_TOKEN_FILE']?.trim() ?? '';
  let token = environment['HF_TOKEN']?.trim() ?? '';
  if (token === '' && file !== '') {
    try {
      token = readFileSync(file, 'utf8').trim();
    } catch (cause) {
      throw new PupilError('usage', `HF_TOKEN_FILE: expected a file, ${file}: ${(cause as Error).message}`, undefined, {
        cause,
      });
    }
  }
  if (token !== '' && /^http:\/\/(?!localhost[:/]|localhost$|127\.)/i.test(endpoint)) {
    note(`HF_TOKEN is not sent to ${endpoint}: over http anybody on the way could read it`);
    token = '';
  }
  if (endpoint === '' && token === '') return undefined;
  return { ...(endpoint === '' ? {} : { endpoint }), ...(token === '' ? {} : { token }) };
}
