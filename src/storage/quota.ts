// quota.ts: how much room the browser grants, and whether it promises to keep what is stored. Elsewhere than in a browser
// nothing is known.

export interface StorageEstimate {
  quotaBytes?: number;
  usageBytes?: number;
  persisted?: boolean;
}

/** What the browser says; empty where it says nothing. Never throws. */
export async function estimateStorage(): Promise<StorageEstimate> {
  const manager = (globalThis.navigator as Navigator | undefined)?.storage;
  if (manager === undefined) return {};
  try {
    const { quota, usage } = await manager.estimate();
    return {
      ...(quota === undefined ? {} : { quotaBytes: quota }),
      ...(usage === undefined ? {} : { usageBytes: usage }),
      persisted: await manager.persisted(),
    };
  } catch {
    return {};
  }
}

/** Asks that what is stored is kept when room runs short. A page may ask; a worker only learns what was answered. */
export async function persistStorage(): Promise<boolean> {
  const manager = (globalThis.navigator as Navigator | undefined)?.storage as Partial<StorageManager> | undefined;
  try {
    if (typeof manager?.persist === 'function') return await manager.persist();
    return (await manager?.persisted?.()) ?? false;
  } catch {
    return false;
  }
}
