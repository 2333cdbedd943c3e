// session.worker.ts: the worker in which a page's session lives, so that the page stays responsive. It only joins the
// session to this browser's GPU and storage; what a session does is in session/session.ts.
import { expose } from 'comlink';
import { browserGpu } from '../gpu/device';
import { Session } from '../session/session';
import type { SessionApi } from '../session/protocol';
import { answering, SESSION_METHODS } from './answers';

expose(answering<SessionApi, keyof SessionApi>(() => new Session(browserGpu(), undefined as never), SESSION_METHODS));
