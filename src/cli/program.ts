// program.ts: the verbs, help and exit codes of the command line as one function, without a process around it. What a verb
// does is in verbs/; where it runs, in pageHost.ts and nodeHost.ts.
import { Command, CommanderError } from 'commander';
import type { ExitCode, VerbContext } from './context';
import type { Host, HostOptions } from './host';
import { Output, type OutputStreams } from './output';
import { projectVersion } from './project';
import { registerBoard } from './verbs/board';
import { registerCheck } from './verbs/check';
import { registerDoctor } from './verbs/doctor';
import { registerEval } from './verbs/eval';
import { registerExport } from './verbs/export';
import { registerFull } from './verbs/full';
import { registerGenerate } from './verbs/generate';
import { registerInspect } from './verbs/inspect';
import { registerJudge } from './verbs/judge';
import { registerPlan } from './verbs/plan';
import { registerPretrain } from './verbs/pretrain';
import { registerReport } from './verbs/report';
import { registerRun } from './verbs/run';
import { registerScore } from './verbs/score';
import { registerStudents } from './verbs/students';
import { registerTeach } from './verbs/teach';
import { registerWorker } from './verbs/worker';

/** Hosts are loaded when one is asked for: Dawn and the browser's driver are large, and `score` needs neither. */
async function openHost(options: HostOptions): Promise<Host> {
  if (options.kind === 'node') return (await import('./nodeHost')).openNodeHost(options);
  return (await import('./pageHost')).openPageHost(options);
}

/** The whole command line. Throws CommanderError for wrong flags and for --help. */
export function buildProgram(context: VerbContext, streams: OutputStreams): Command {
  const program = new Command('pupil')
    .description('Self-refine Instruction-tuning of small language models on WebGPU')
    .version(projectVersion())
    .showHelpAfterError('(add --help for the flags)')
    .configureOutput({
      writeOut: (text) => void streams.out.write(text),
      writeErr: (text) => void streams.err.write(text),
    })
    .exitOverride();
  // Verbs inherit these settings because they are made after them.
  registerDoctor(program, context);
  registerCheck(program, context);
  registerRun(program, context);
  registerFull(program, context);
  registerWorker(program, context);
  registerBoard(program, context);
  registerEval(program, context);
  registerScore(program, context);
  registerTeach(program, context);
  registerJudge(program, context);
  registerExport(program, context);
  registerGenerate(program, context);
  registerInspect(program, context);
  registerPretrain(program, context);
  registerPlan(program, context);
  registerReport(program, context);
  registerStudents(program, context);
  return program;
}

/** Parses and runs; the exit code. */
export async function main(
  argv: readonly string[],
  overrides: Partial<VerbContext> = {},
  streams: OutputStreams = { out: process.stdout, err: process.stderr },
): Promise<ExitCode> {
  let code: ExitCode = 0;
  const program = buildProgram(
    {
      output: (json) => new Output(json, streams),
      openHost,
      exit: (value) => {
        code = value;
      },
      ...overrides,
    },
    streams,
  );
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    code = error.exitCode === 0 ? 0 : 2;
    // Commander has told people already; machines read stdout.
    if (code !== 0 && argv.includes('--json')) {
      const message = error.message.replace(/^error: /, '');
      streams.out.write(`${JSON.stringify({ type: 'error', code: 'usage', message })}\n`);
    }
  }
  return code;
}
