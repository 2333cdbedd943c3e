// recording.ts: a recorded run as a document: the events of a real run with the moments at which they came, and where they come
// from. scripts/recordLesson.mjs makes it. It is checked here as far as playing it needs; it plays nothing.
import { PupilError } from '../../base/errors';
import type { EvaluationRow, SessionEvent } from '../../session/protocol';

export interface Recording {
  format: 'pupil-recording';
  version: 1;
  about: {
    name: string;
    seed: number;
    /** ISO time. */
    recordedAt: string;
    /** How long the run took. */
    seconds: number;
    adapter: string;
    software: boolean;
    tier: string;
    version: string;
    student: string;
    parameters: number;
    fingerprint: string;
    trainedTasks: string[];
    /** Of the run's own report. */
    evaluations: EvaluationRow[];
    pairs: Record<string, number>;
  };
  /** Milliseconds from the beginning, ascending. */
  events: [number, SessionEvent][];
}

/**
 * A recording from what was read.
 * @throws PupilError `data` where it is none
 */
export function asRecording(document: unknown): Recording {
  const { format, version, about, events } = (document ?? {}) as Partial<Recording>;
  if (format !== 'pupil-recording' || version !== 1 || about === undefined || !Array.isArray(events)) {
    throw new PupilError(
      'data',
      `recording: expected a pupil-recording of version 1, got ${JSON.stringify(format ?? null)} ${JSON.stringify(version ?? null)}`,
      'Reload the page; if it happens again it was not built or is not served completely.',
    );
  }
  let before = 0;
  events.forEach(([ms, event], i) => {
    if (ms >= before && typeof event.type === 'string') {
      before = ms;
      return;
    }
    throw new PupilError(
      'data',
      `recording: expected events in order of time, number ${i} is at ${ms} ms after ${before}`,
    );
  });
  return document as Recording;
}

/** The recording of the lesson, fetched when it is asked for. */
export async function fetchRecording(): Promise<Recording> {
  const { default: address } = await import('./recording.json?url');
  const response = await fetch(address);
  if (!response.ok) {
    throw new PupilError(
      'source',
      `recording: expected ${address}, the server answered ${response.status}`,
      'Try again, or look whether the page is served completely.',
    );
  }
  return asRecording(await response.json());
}
