// parts.ts: small records and parts for tests of storage. Tests only.
import { sha256Of, type CheckpointPart } from '../../../src/formats/trainingCheckpoint';
import type { RunRecord, StoredCheckpoint } from '../../../src/storage/runStore';

export function record(sequence: number, runId = 'r'): RunRecord {
  const updatedAt = new Date(Date.UTC(2026, 0, 1, 0, 0, sequence)).toISOString();
  return { runId, name: 'Run', state: 'running', phase: 'instruct', step: sequence, updatedAt, sizeBytes: 3, sequence };
}

export async function part(name: string, ...values: number[]): Promise<CheckpointPart> {
  const bytes = Uint8Array.from(values);
  return { name, sha256: await sha256Of(bytes), bytes };
}

/** The parts of a checkpoint as plain numbers. */
export function contents(found: StoredCheckpoint | undefined): Record<string, number[]> | undefined {
  if (found === undefined) return undefined;
  return Object.fromEntries([...found.parts].map(([name, bytes]) => [name, [...bytes]]));
}
