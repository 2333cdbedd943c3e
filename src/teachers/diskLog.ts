// diskLog.ts: the printed logs of zero-shot-CoT (Kojima et al. 2022, arXiv:2205.11916): samples with "Q: …", "A: …" and what
// was made of the answer. The answer is all that the model wrote, its last sentence included.
import { PupilError } from '../base/errors';
import type { SourceText } from '../formats/rows';
import type { FoundDemonstration, FoundDemonstrations } from './diskRow';

/** Begins every sample, in older logs too; several samples of one question follow one another. */
const SAMPLE = /^\d+_th_sampling[^\S\n]*$/gm;
const SAID = /^Q:[^\S\n]*([^]*?)\r?\nA:[^\S\n]*([^]*?)\r?\npred_before[^\S\n]*:/m;

export const isZeroShotLog = (text: string): boolean => text.search(SAMPLE) >= 0 && /^pred_before\s*:/m.test(text);

/** @throws PupilError `format` for a text without a sample. */
export function findInLogs(files: readonly SourceText[]): FoundDemonstrations {
  const found: FoundDemonstration[] = [];
  const rejected: FoundDemonstrations['rejected'] = [];
  for (const { path, text } of files) {
    const samples = [...text.matchAll(SAMPLE)].map(({ index }) => index);
    if (samples.length === 0) {
      throw new PupilError(
        'format',
        `${path}: expected a log of zero-shot-CoT, with lines such as "1_th_sampling", got none`,
        'Check `format`.',
      );
    }
    let line = 1;
    let counted = 0;
    samples.forEach((start, i) => {
      line += text.slice(counted, start).match(/\n/g)?.length ?? 0;
      counted = start;
      const said = SAID.exec(text.slice(start, samples[i + 1]));
      if (said !== null) found.push({ path, line, questions: [said[1]!.trim()], answer: said[2]!.trim() });
      else rejected.push({ path, line, reason: 'expected "Q: …", "A: …" and "pred_before :" in this sample' });
    });
  }
  return { found, rejected };
}
