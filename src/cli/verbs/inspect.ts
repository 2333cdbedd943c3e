// inspect.ts: `pupil inspect …`: the port through which an engineer holds Pupil against her own PyTorch. Flags become
// named paths and numbers; what is computed is in recipes/inspect.ts, behind the session.
import { Option, type Command } from 'commander';
import { PupilError } from '../../base/errors';
import type { InspectKind } from '../../session/protocol';
import { perform, withSession, type VerbContext } from '../context';
import { expectFile, outputFile, outputFolder } from '../files';
import { pathInRoot } from '../host';
import { ADAPTER_HELP, expectModelFolder, expectStudent, STUDENT_HELP } from '../modelFolder';
import {
  cacheRequest,
  integerIn,
  numberIn,
  QUANTIZE,
  withCacheFlags,
  withDeviceFlags,
  type CommonFlags,
} from '../options';

type Flags = CommonFlags & Record<string, string | number | boolean | undefined>;

/** Flags that name a file to read, a folder to read, a file to write, a folder to write. */
const READ_FILES = ['batch', 'pairs', 'prompts', 'input'] as const;
const READ_FOLDERS = ['student', 'adapter', 'referenceAdapter'] as const;
const NOT_OPTIONS = new Set(['host', 'gpu', 'expectVendor', 'requireHardware', 'allowSoftware', 'json', 'cache']);

const dashed = (name: string): string => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

/**
 * Flags that contradict each other, told before anything is started: what belongs to `--steps` means nothing without it,
 * an output that would not be written is a promise broken, and some losses divide by what may be 0.
 */
function checkFlags(kind: InspectKind, flags: Flags): void {
  const refuse = (message: string, hint: string): never => {
    throw new PupilError('usage', `inspect ${kind}: ${message}`, hint);
  };
  if (flags['steps'] === undefined) {
    const lost = (['lr', 'weightDecay', 'clip', 'adapterOut'] as const).find((name) => flags[name] !== undefined);
    if (lost !== undefined)
      refuse(`${dashed(lost)}: expected --steps with it, got none`, 'Add --steps N, or leave it out.');
  } else {
    if (flags['lr'] === undefined)
      refuse('--lr: expected a learning rate for --steps, got none', 'Add --lr 1e-2, say.');
    if (flags['adapter'] === undefined)
      refuse('--adapter: expected the adapter to train, got none', 'Add --adapter DIR.');
  }
  if (flags['loss'] === 'ipo' && flags['beta'] === 0) {
    refuse('--beta: expected a number above 0 for ipo, got 0', 'Its loss is (d − 1/2β)².');
  }
  if (flags['loss'] === 'robust' && flags['labelSmoothing'] === 0.5) {
    refuse('--label-smoothing: expected a number below 0.5 for robust, got 0.5', 'Its loss is divided by 1 − 2ε.');
  }
}

/** Flags with their paths checked, and the paths by what is done with them. */
function prepare(flags: Flags): {
  read: string[];
  write: string[];
  options: Record<string, string | number | boolean | undefined>;
} {
  const options: Record<string, string | number | boolean | undefined> = {};
  for (const [name, value] of Object.entries(flags)) if (!NOT_OPTIONS.has(name)) options[name] = value;
  const read: string[] = [];
  const folders: string[] = [];
  const write: string[] = [];
  for (const name of READ_FILES) {
    const value = flags[name];
    if (typeof value !== 'string') continue;
    const path = expectFile(dashed(name), value);
    read.push(path);
    options[name] = pathInRoot(path);
  }
  for (const name of READ_FOLDERS) {
    const value = flags[name];
    if (typeof value !== 'string') continue;
    const { folder, path } =
      name === 'student'
        ? expectStudent(dashed(name), value)
        : expectModelFolder(dashed(name), value, 'adapter_config.json');
    if (path !== undefined) {
      read.push(path);
      folders.push(path);
    }
    options[name] = folder;
  }
  if (typeof flags['out'] === 'string') {
    const path = outputFile('--out', flags['out'], read);
    write.push(path);
    options['out'] = pathInRoot(path);
  }
  if (typeof flags['adapterOut'] === 'string') {
    const path = outputFolder('--adapter-out', flags['adapterOut'], folders);
    write.push(path);
    options['adapterOut'] = pathInRoot(path);
  }
  return { read, write, options };
}

/** What each kind writes; test/golden/inspectContract.test.ts holds the session to it. */
const WRITES: Record<InspectKind, string> = {
  logits: `--out, safetensors:
  logits                 F32 [B,T,V]; padded positions are 0`,
  gradients: `--out, safetensors:
  loss                   F32 [1], the mean over all target tokens of the batch
  token_logps            F32 [B,T-1]; entry t scores input_ids[t+1], 0 where its label is -100
  grad.<PEFT name>       F32, at the given adapter; none without --adapter
With --steps N also:
  losses                 F32 [N+1], before each step and after the last
  grad_norms             F32 [N], before clipping
  --adapter-out          adapter_config.json, adapter_model.safetensors
AdamW: betas 0.9 and 0.999, eps 1e-8, decoupled decay, constant rate; no dropout.`,
  dpo: `--out, safetensors (sums over a completion's tokens; per-token means for ipo):
  policy_chosen_logps, policy_rejected_logps, reference_chosen_logps, reference_rejected_logps,
  rewards_chosen, rewards_rejected, losses        F32 [P], one a pair
  loss                   F32 [1], their mean
  grad.<PEFT name>       F32, of that mean, at the policy's adapter
With --steps N, as in gradients: losses F32 [N+1] (the pairs' own are then pair_losses [P]), grad_norms F32 [N], and the
policy's adapter to --adapter-out.`,
  generate: `--out, JSON: [{"ids":[new ids only, without the end of text],"stopped":"eos"|"length"}, ...], one a prompt.`,
  nf4: `--out, safetensors, for each tensor of --input:
  <name>.packed          U8; the even element in the high half of a byte
  <name>.absmax          F32, one a block of 64; U8 with --double
  <name>.dequantized     in the dtype and shape of the input
With --double also <name>.nested_absmax F32, <name>.nested_quant_map F32 [256], <name>.offset F32 [1].`,
};

export function registerInspect(program: Command, context: VerbContext): void {
  const inspect = program
    .command('inspect')
    .description('compute what can be compared with PyTorch: safetensors and JSON');

  const kind = (name: InspectKind, description: string, needsStudent = true): Command => {
    const command = withDeviceFlags(inspect.command(name).description(description), 'f32').addHelpText(
      'after',
      `\nWrites\n${WRITES[name]}${needsStudent ? '\nIds are taken as they are: nothing is appended.' : ''}`,
    );
    if (needsStudent) {
      withCacheFlags(command)
        .requiredOption('--student <student>', STUDENT_HELP)
        .addOption(new Option('--quantize <kind>', 'of the base').choices(QUANTIZE).default('none'));
    }
    return command.action((flags: Flags) =>
      perform(context, flags.json === true, async (output) => {
        checkFlags(name, flags);
        const { read, write, options } = prepare(flags);
        return withSession(context, flags, output, async (session, host) => {
          const roots = { files: host.reads(read), out: host.writes(write) };
          await session.inspect({ kind: name, ...roots, options, ...cacheRequest(flags) });
          output.result('inspect', { kind: name, written: write }, () =>
            write.map((path) => `wrote ${path}`).join('\n'),
          );
          return 0;
        });
      }),
    );
  };
  const training = (command: Command): Command =>
    command
      .option('--steps <n>', 'AdamW steps on this batch', integerIn(1))
      .option('--lr <rate>', 'constant learning rate', numberIn(0))
      .option('--weight-decay <wd>', 'decoupled', numberIn(0))
      .option('--clip <norm>', 'global gradient norm is cut to this; 0 = off', numberIn(0))
      .option('--adapter-out <dir>', 'where the adapter goes after the steps');

  kind('logits', 'logits of a batch of ids')
    .option('--adapter <adapter>', ADAPTER_HELP)
    .requiredOption('--batch <file>', 'safetensors: input_ids, attention_mask')
    .requiredOption('--out <file>', 'safetensors to write');
  training(
    kind('gradients', 'loss, token log-probabilities and adapter gradients of a batch; with --steps also training')
      .option('--adapter <adapter>', ADAPTER_HELP)
      .requiredOption('--batch <file>', 'safetensors: input_ids, attention_mask, labels')
      .requiredOption('--out <file>', 'safetensors to write'),
  );
  training(
    kind('dpo', 'preference loss, rewards and gradients of a list of pairs; with --steps also training')
      .requiredOption('--adapter <dir>', 'PEFT adapter of the policy')
      .requiredOption('--reference-adapter <dir>', 'PEFT adapter of the frozen reference')
      .requiredOption('--pairs <file>', 'JSON: [{"prompt":[ids],"chosen":[ids],"rejected":[ids]}]')
      .addOption(
        new Option('--loss <kind>', 'preference loss')
          .choices(['sigmoid', 'ipo', 'hinge', 'robust'])
          .default('sigmoid'),
      )
      .option('--beta <beta>', 'strength of the tie to the reference', numberIn(0), 0.1)
      .option('--label-smoothing <e>', 'assumed share of flipped pairs', numberIn(0, 0.5), 0)
      .requiredOption('--out <file>', 'safetensors to write'),
  );
  kind('generate', 'continuations of prompts of ids')
    .option('--adapter <adapter>', ADAPTER_HELP)
    .requiredOption('--prompts <file>', 'JSON: [[ids], …]')
    .option('--max-new-tokens <n>', 'at most', integerIn(1), 64)
    .option('--temperature <t>', '0 = greedy', numberIn(0), 0)
    .option('--seed <n>', 'of the sampling', integerIn(0, 0xffffffff), 0)
    .requiredOption('--out <file>', 'JSON to write');
  kind('nf4', 'quantises the tensors of a file and dequantises them again', false)
    .requiredOption('--input <file>', 'safetensors')
    .option('--double', 'quantise the block scales as well')
    .requiredOption('--out <file>', 'safetensors to write');
}
