// jobOutput.ts: the voice of one job among several that run at once: every line carries the job's name, every JSON line a
// field `job`. What is said is the runs' and the supervisor's business.
import { Writable } from 'node:stream';
import { Output } from '../output';

/** A stream that hands on whole lines. */
function byLine(tell: (line: string) => void): Writable {
  let rest = '';
  return new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) tell(line);
      done();
    },
    final(done) {
      if (rest !== '') tell(rest);
      done();
    },
  });
}

/** An output that speaks through another one. Close it when the job ends. */
export function jobOutput(output: Output, job: string): Output {
  return new Output(output.json, {
    out: byLine((line) => output.write(`${output.json ? withJob(line, job) : `[${job}] ${line}`}\n`)),
    err: byLine((line) => output.note(`[${job}] ${line}`)),
  });
}

function withJob(line: string, job: string): string {
  return line.startsWith('{') ? JSON.stringify({ job, ...(JSON.parse(line) as object) }) : line;
}
