// jobLocks.ts: a worker's locks on its jobs over a Redis that was away. BullMQ renews locks while it can and gives a job up
// when its lock has expired; but where Redis itself was away, nobody else can have taken the job. Then the lock is taken
// again, in one step in Redis, so that two workers never hold one job.
import type { Redis } from 'ioredis';
import { QUEUE_PREFIX } from './queue';

/**
 * A lock lasts so long without renewal. Renewed every quarter of it, so that an event loop that is busy for half of it loses
 * nothing; a job whose worker died begins again within one and a half of it.
 */
export const DEFAULT_LOCK_SECONDS = 60;

/** Times for BullMQ's worker, in milliseconds. */
export function lockTimes(lockSeconds: number): {
  lockDuration: number;
  lockRenewTime: number;
  stalledInterval: number;
} {
  const lockDuration = lockSeconds * 1000;
  return { lockDuration, lockRenewTime: lockDuration / 4, stalledInterval: lockDuration / 2 };
}

// The job is still counted as running and its lock is ours or nobody's: it is ours (again).
const REGAIN = `
local found = redis.call('LPOS', KEYS[1], ARGV[1])
if not found then return 0 end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('SREM', KEYS[3], ARGV[1])
return 1`;

/** Takes the lock of a job that this worker had; false where the job is no longer this worker's. */
export async function regainLock(
  redis: Redis,
  namespace: string,
  { id, token }: { id: string; token: string },
  lockMs: number,
): Promise<boolean> {
  const key = (name: string): string => `${QUEUE_PREFIX}:${namespace}:${name}`;
  return (await redis.eval(REGAIN, 3, key('active'), key(`${id}:lock`), key('stalled'), id, token, lockMs)) === 1;
}
