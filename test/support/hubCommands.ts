// hubCommands.ts: the local hub for tests that run in a browser: they ask Vitest's own process to start and stop it. Tests only.
import type { BrowserCommand } from 'vitest/node';
import { startHubServer, type Fault, type HubServer, type HubServerOptions } from './hubServer';
import { patterned } from './patterned';

/** What a page says of the hub it wants. */
export interface HubWish extends Pick<HubServerOptions, 'api' | 'token' | 'exposed' | 'gated'> {
  /** Faults of its requests in turn, then none; those of `OPTIONS` do not count. */
  faults?: Fault[];
  /** Contents of its config.json. */
  config?: unknown;
}

export interface HubLog {
  server: 'hub' | 'cdn';
  authorization: string | undefined;
  origin: string | undefined;
  sentBytes: number;
}

export const WEIGHT_BYTES = 700_000;

const servers = new Map<string, HubServer>();

/** @returns its endpoint. */
const startHub: BrowserCommand<[HubWish]> = async (_context, { faults = [], config = { hidden_size: 8 }, ...wish }) => {
  const server = await startHubServer({
    ...wish,
    files: {
      'config.json': new TextEncoder().encode(JSON.stringify(config)),
      'model.safetensors': patterned(WEIGHT_BYTES),
    },
    fault: ({ n }) => faults[n] ?? 'ok',
  });
  servers.set(server.endpoint, server);
  return server.endpoint;
};

const hubLog: BrowserCommand<[string]> = (_context, endpoint): HubLog[] =>
  servers.get(endpoint)!.asked.map(({ server, authorization, origin, sentBytes }) => ({
    server,
    authorization,
    origin,
    sentBytes,
  }));

const stopHub: BrowserCommand<[string]> = async (_context, endpoint) => {
  await servers.get(endpoint)?.close();
  servers.delete(endpoint);
};

export const hubCommands = { startHub, hubLog, stopHub };

declare module 'vitest/browser' {
  interface BrowserCommands {
    startHub: (wish: HubWish) => Promise<string>;
    hubLog: (endpoint: string) => Promise<HubLog[]>;
    stopHub: (endpoint: string) => Promise<void>;
  }
}
