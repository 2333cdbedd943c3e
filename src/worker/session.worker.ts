// session.worker.ts: the worker in which a page's session lives, so that the page stays responsive. It only joins the
// session to this browser's GPU and storage; what a session does is in session/session.ts.
import { expose } from 'comlink';
import { browserGpu } from '../gpu/device';
import type { FileRoot } from '../sources/fileRoot';
import { HttpCachePlace } from '../storage/cacheHttp';
import { OpfsCachePlace } from '../storage/cacheOpfs';
import { IndexedDbAnswerStore } from '../storage/answerIndexedDb';
import { IndexedDbRunStore } from '../storage/indexedDb';
import { IndexedDbKeptFiles } from '../storage/keptFilesIndexedDb';
import { opfsPieceStore } from '../storage/pieceStoreOpfs';
import { Session } from '../session/session';
import type { SessionApi } from '../session/protocol';
import { answering, SESSION_METHODS } from './answering';

// The GPU is asked for when a device is opened: a browser without WebGPU can still list and delete its stored runs.
const session = answering<SessionApi, keyof SessionApi>(() => {
  const store = new IndexedDbRunStore();
  const [answers, kept] = [new IndexedDbAnswerStore(), new IndexedDbKeptFiles()];
  const caches = {
    own: new OpfsCachePlace(),
    at: (root: FileRoot) => (root.kind === 'http' ? new HttpCachePlace(root.base) : undefined),
  };
  return new Session(browserGpu, store, store, undefined, answers, kept, caches, opfsPieceStore());
}, SESSION_METHODS);

// `alive` is no method of a session: it answers as soon as the worker's thread is free, whatever the session does.
expose({ ...session, alive: () => true });
