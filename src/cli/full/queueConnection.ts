// queueConnection.ts: the connection to the Redis behind `--queue`: its address, patience while it is away, and what is said
// of it without its password. What lies in it is queue.ts.
import { Redis } from 'ioredis';
import { PupilError } from '../../base/errors';

/** How long the first connection may take. Later ones are waited for as long as it takes. */
const FIRST_MS = 10_000;

/** The address without its password, for messages. */
export function toldAddress(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
  } catch {
    return 'the address given';
  }
}

/**
 * Connects. Commands that are sent while Redis is away are kept and sent when it is back.
 *
 * @param onAway told when the connection is lost, and again (`false`) when it is back
 * @throws PupilError `usage` for another kind of address, `queue` where nothing answers
 */
export async function connectRedis(url: string, onAway: (away: boolean) => void = () => undefined): Promise<Redis> {
  if (!/^rediss?:\/\/[^/]/.test(url) || !URL.canParse(url)) {
    throw new PupilError(
      'usage',
      `--queue: expected redis://host:port, got ${toldAddress(url)}`,
      'With a password: redis://:PASSWORD@host:port, or in PUPIL_QUEUE, which no list of processes shows. With TLS: rediss://.',
    );
  }
  const redis = new Redis(url, {
    maxRetriesPerRequest: null, // BullMQ asks for it: a command waits until Redis is back
    retryStrategy: (times) => Math.min(200 * times, 3000),
    connectTimeout: 5000,
    lazyConnect: true,
  });
  let problem = 'nothing answers';
  let away = false;
  redis.on('error', (error: Error) => (problem = error.message));
  redis.on('close', () => {
    if (!away) onAway((away = true));
  });
  redis.on('ready', () => {
    if (away) onAway((away = false));
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(problem)), FIRST_MS);
  });
  try {
    await Promise.race([connected(redis), late]);
    return redis;
  } catch (cause) {
    redis.disconnect();
    throw new PupilError(
      'queue',
      `--queue: expected Redis at ${toldAddress(url)}: ${(cause as Error).message === '' ? problem : (cause as Error).message}`,
      'Start it (redis-server --appendonly yes), or check address and password.',
      { cause },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** The first attempt that fails is no reason to give up: workers and Redis may be started together. */
async function connected(redis: Redis): Promise<void> {
  await redis.connect().catch((error: unknown) => {
    // Wrong passwords stay wrong.
    if (/WRONGPASS|NOAUTH|NOPERM/.test(String(error))) throw error;
  });
  if (redis.status !== 'ready') await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
  await redis.ping();
}
