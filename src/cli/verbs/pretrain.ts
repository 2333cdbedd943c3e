// pretrain.ts: `pupil pretrain` (and `npm run pretrain`): makes the lesson's student from nothing: corpus, tokenizer, weights,
// model card, in one folder. Ctrl-C writes a checkpoint; --resume continues, with the same bytes in the end.
import { Option, type Command } from 'commander';
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PupilError } from '../../base/errors';
import type { PretrainRequest, SessionApi } from '../../session/protocol';
import { perform, withSession, type ExitCode, type VerbContext } from '../context';
import { expectFolder } from '../files';
import { stopOnInterrupt } from '../interrupt';
import { integerIn, numberIn, withDeviceFlags, type CommonFlags } from '../options';
import type { Output } from '../output';

interface PretrainFlags extends CommonFlags {
  out: string;
  name: string;
  seed: number;
  mix: PretrainRequest['mix'];
  from?: string;
  steps: number;
  tokensPerStep?: number;
  learningRate?: number;
  width: number;
  hidden: number;
  layers: number;
  heads: number;
  context: number;
  checkpointEvery: number;
  resume?: boolean;
}

const MIXES = ['lesson', 'look-up'] as const satisfies readonly PretrainRequest['mix'][];

/** The bundled student's first stage: 8.9 million tokens (docs/lesson.md has the second). */
const STEPS = 4400;

export function registerPretrain(program: Command, context: VerbContext): void {
  withDeviceFlags(program.command('pretrain').description("make the lesson's student: pretraining from nothing"))
    .option('--out <dir>', 'folder for the student and its checkpoint', 'runs/student')
    .option('--name <name>', "the student's name in its model card", 'Pupil lesson student')
    .option('--seed <n>', 'of weights and corpus', integerIn(0, 0x7fffffff), 0)
    .addOption(new Option('--mix <name>', 'what it reads: see docs/lesson.md').choices(MIXES).default('lesson'))
    .option('--from <dir>', 'a student of this command, to be trained further; its shape holds')
    .option('--steps <n>', 'optimiser steps', integerIn(1), STEPS)
    .option('--tokens-per-step <n>', 'whole documents up to so many tokens', integerIn(128))
    .option('--learning-rate <rate>', 'peak', numberIn(0))
    .option('--width <n>', 'hidden size', integerIn(2), 128)
    .option('--hidden <n>', 'size of the SwiGLU layers', integerIn(1), 384)
    .option('--layers <n>', 'decoder blocks', integerIn(1), 4)
    .option('--heads <n>', 'attention heads', integerIn(1), 4)
    .option('--context <n>', 'longest text in tokens', integerIn(16), 192)
    .option('--checkpoint-every <n>', 'steps between checkpoints', integerIn(1), 100)
    .option('--resume', 'continue from the checkpoint in --out')
    .action((flags: PretrainFlags) =>
      perform(context, flags.json === true, async (output) => {
        if (flags.width % (2 * flags.heads) !== 0) {
          throw new PupilError(
            'usage',
            `--heads: expected heads of an even size, got ${flags.width} / ${flags.heads}`,
            'Rotary embedding turns pairs: choose --width a multiple of twice --heads.',
          );
        }
        const folder = resolve(flags.out);
        if (flags.resume !== true && existsSync(join(folder, 'config.json'))) {
          throw new PupilError(
            'usage',
            `--out: expected a folder without a student, ${folder} holds one`,
            'Name another.',
          );
        }
        const from = flags.from === undefined ? undefined : expectFolder('--from', flags.from, 'pretraining.json');
        mkdirSync(folder, { recursive: true });
        return withSession(context, flags, output, (session, host) =>
          work(session, { ...flags, out: folder }, output, {
            out: host.folder(folder),
            ...(from === undefined ? {} : { from: host.folder(from) }),
          }),
        );
      }),
    );
}

async function work(
  session: SessionApi,
  flags: PretrainFlags,
  output: Output,
  folders: Pick<PretrainRequest, 'out' | 'from'>,
): Promise<ExitCode> {
  const release = stopOnInterrupt(session, output);
  try {
    const made = await session.pretrain(
      {
        ...folders,
        name: flags.name,
        seed: flags.seed,
        mix: flags.mix,
        steps: flags.steps,
        ...(flags.tokensPerStep === undefined ? {} : { tokensPerStep: flags.tokensPerStep }),
        ...(flags.learningRate === undefined ? {} : { learningRate: flags.learningRate }),
        shape: {
          hiddenSize: flags.width,
          intermediateSize: flags.hidden,
          layers: flags.layers,
          heads: flags.heads,
          contextTokens: flags.context,
        },
        checkpointEverySteps: flags.checkpointEvery,
        resume: flags.resume === true,
      },
      (step) => output.pretrainStep(step),
    );
    output.result('pretrain', { ...made, folder: flags.out }, () => {
      const hours = (made.seconds / 3600).toFixed(2);
      const held = made.evalLoss === undefined ? '' : `, ${made.evalLoss.toFixed(4)} on development documents`;
      return (
        `${made.parameters.toLocaleString('en')} parameters after ${made.tokens.toLocaleString('en')} tokens and ${hours} hours: ` +
        `loss ${made.loss.toFixed(4)}${held}\nstudent: ${flags.out}`
      );
    });
    return 0;
  } catch (error) {
    if (!(error instanceof PupilError) || error.code !== 'cancelled') throw error;
    output.note(`${error.message}\n  pupil pretrain --out ${flags.out} --resume`);
    return 130;
  } finally {
    release();
  }
}
