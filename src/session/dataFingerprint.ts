// dataFingerprint.ts: tells whether a run that is resumed reads the same data as at its beginning, wherever the files now lie.
import { sha256Of } from '../formats/trainingCheckpoint';
import type { Prepared } from './prepare';

/** SHA-256 in hex of all that a run takes from its files: what is trained on, sampled from, and asked, and the targets. */
export function dataFingerprint({ examples, refineItems, tasks }: Prepared): Promise<string> {
  const content = {
    examples,
    refineItems: refineItems.map(({ isCorrect: _, ...item }) => item),
    tasks: tasks.map(({ questions, probes }) => ({
      probes,
      questions: Object.values(questions).flatMap((wordings) =>
        Object.values(wordings).map((asked) => asked.map(({ judges: _, ...question }) => question)),
      ),
    })),
  };
  return sha256Of(new TextEncoder().encode(JSON.stringify(content)));
}
