// zeroShotLog.ts: the published logs of zero-shot CoT (Kojima et al. 2022) read back: what the model wrote, and the log's
// own rule for its answer, so that the accuracy a log reports can be recomputed. For tests only: Pupil scores by its own
// extractors, and docs/answers.md lists where the two differ.

export interface LoggedAnswer {
  question: string;
  /** All that the model wrote, from "A:" on, the second prompt ("Therefore, the answer …") included. */
  text: string;
  /** What it wrote after the second prompt: all that the log's rule looks at. */
  reply: string;
  /** The answer that the log took, as written there; empty where it took none. */
  logged: string;
  target: string;
}

export interface Log {
  answers: LoggedAnswer[];
  /** In %, as the log's last line has it. */
  accuracy: number;
}

/** @throws Error where a block lacks a field: a changed file must not pass as a shorter one. */
export function readLog(text: string): Log {
  const answers = text
    .split(/^\*{10,}\n/m)
    .filter((block) => /^GT : /m.test(block))
    .map((block) => {
      const field = (pattern: RegExp): string => {
        const found = pattern.exec(block)?.[1];
        if (found === undefined) throw new Error(`log block without ${String(pattern)}: ${block.slice(0, 200)}`);
        return found;
      };
      return {
        question: field(/^Q: ([^]*?)\nA: /m),
        text: field(/\nA: ([^]*?)\npred_before : /),
        reply: field(/\npred_before : ([^]*?)\npred_after : /),
        logged: field(/\npred_mode : (.*)/),
        target: field(/\nGT : (.*)/),
      };
    });
  return { answers, accuracy: Number(/^accuracy : ([\d.]+)/m.exec(text)![1]) };
}

/** The log's rule for numbers: commas dropped, the first run of digits, a point at its end dropped. Empty for none. */
export function firstNumber(reply: string): string {
  return (/-?\d+\.?\d*/.exec(reply.replaceAll(',', ''))?.[0] ?? '').replace(/\.$/, '');
}

/** The log's rule for yes and no: the first of the two words, wherever it stands. Empty for none. */
export function firstYesNo(reply: string): string {
  const words = reply
    .toLowerCase()
    .replace(/["'\n.\s:,]/g, ' ')
    .split(' ');
  return words.find((word) => word === 'yes' || word === 'no') ?? '';
}
