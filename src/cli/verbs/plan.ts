// plan.ts: `pupil plan`: what a student would take, from its config.json, before it is downloaded or loaded: parameters,
// bytes to download, bytes on the GPU, and which settings would make it fit. What a whole run needs is `run --plan`.
import { Option, type Command } from 'commander';
import type { PlannedStudent, StudentSettings } from '../../session/protocol';
import { perform, withSession, type ExitCode, type VerbContext } from '../context';
import { expectStudent, here, STUDENT_HELP } from '../modelFolder';
import { bytesOf, integerIn, QUANTIZE, withDeviceFlags, type CommonFlags } from '../options';
import type { Output } from '../output';

interface PlanFlags extends CommonFlags, Partial<Omit<StudentSettings, 'tier'>> {
  student: string;
  budget?: number;
  adapterLimits?: boolean;
  check?: boolean;
}

export function registerPlan(program: Command, context: VerbContext): void {
  const count = integerIn(1, 2 ** 24);
  withDeviceFlags(
    program
      .command('plan')
      .description('say what a student would take on the GPU, from its config.json, and what would make it fit'),
  )
    .requiredOption('--student <student>', `${STUDENT_HELP}; weights need not be there`)
    .addOption(new Option('--quantize <kind>', 'of the linear weights (default: nf4)').choices(QUANTIZE))
    .option('--rank <n>', 'of the LoRA adapter (default: 64)', integerIn(1, 256))
    .option('--batch <n>', 'sequences of a micro-batch (default: 1)', count)
    .option('--length <n>', 'tokens of a sequence (default: 512)', count)
    .addOption(
      new Option(
        '--activations <policy>',
        'kept, recomputed in the backward, or as Pupil chooses (default: auto)',
      ).choices(['auto', 'keep', 'recompute']),
    )
    .option('--answers <n>', 'answers generated side by side (default: 1)', count)
    .option('--new-tokens <n>', 'tokens of an answer (default: 256)', count)
    .option('--budget <bytes>', 'what may be held on the GPU at most, e.g. 8GB', bytesOf)
    .option('--adapter-limits', 'open the GPU and hold single tensors against its limits')
    .option('--check', 'exit with 1 where it does not fit')
    .action((flags: PlanFlags) =>
      perform(context, flags.json === true, async (output) => {
        const student = expectStudent('--student', flags.student);
        const request = {
          student: student.folder,
          settings: settingsOf(flags),
          ...(flags.budget === undefined ? {} : { budgetBytes: flags.budget }),
        };
        if (flags.adapterLimits === true) {
          return withSession(context, flags, output, async (session, host) =>
            tell(output, await session.planStudent({ ...request, files: host.reads(here(student)) }), flags),
          );
        }
        const { planStudentOnDisk } = await import('../nodeHost');
        return tell(output, await planStudentOnDisk(request), flags);
      }),
    );
}

/** What the flags say; the others stay as the session has them. */
function settingsOf(flags: PlanFlags): Partial<StudentSettings> {
  const { quantize, tier, rank, batch, length, activations, answers, newTokens } = flags;
  const said = {
    quantize,
    rank,
    batch,
    length,
    activations,
    answers,
    newTokens,
    tier: tier === 'auto' ? undefined : tier,
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

function tell(output: Output, plan: PlannedStudent, flags: PlanFlags): ExitCode {
  output.result('plan', { ...plan }, () => planText(plan));
  return flags.check === true && plan.verdict === 'too-large' ? 1 : 0;
}

function size(bytes: number): string {
  if (bytes === 0) return '0';
  const [unit, name] = bytes >= 1e9 ? [1e9, 'GB'] : bytes >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB'];
  return `${(bytes / unit).toFixed(unit === 1e9 ? 2 : 1)} ${name}`;
}

const PARTS = ['weights', 'adapter', 'optimizer', 'activations', 'head', 'cache', 'fixed'] as const;

/** The plan as a table: a column a stage, a row a part. */
export function planText(plan: PlannedStudent): string {
  const { settings, download, stages, peakStage, remedies } = plan;
  const number = (n: number): string => n.toLocaleString('en-US');
  const cell = (text: string): string => text.padStart(12);
  const whence = { index: 'by its index', file: 'the file’s size', estimate: 'estimated' }[download.from];
  const rows = PARTS.filter((part) => stages.some(({ parts }) => parts[`${part}Bytes`] > 0));
  const verdicts = {
    fits: plan.budgetBytes === undefined ? 'fits this adapter' : `fits ${size(plan.budgetBytes)}`,
    'too-large': 'does not fit',
    unknown: 'no budget was named (--budget 8GB) and no adapter looked at (--adapter-limits)',
  };
  const lines = [
    `${plan.modelType}: ${number(plan.parameters)} parameters, ${number(plan.trainedParameters)} trained (rank ${settings.rank}); ${size(download.bytes)} to download (${whence})`,
    `${settings.quantize}, tier ${settings.tier}; training ${settings.batch} × ${settings.length}, activations ${plan.activations === 'keep' ? 'kept' : 'recomputed'}; ${settings.answers} answer${settings.answers === 1 ? '' : 's'} of ${settings.newTokens} tokens side by side`,
    `${'on the GPU'.padEnd(14)}${stages.map(({ stage }) => cell(stage)).join('')}`,
    ...rows.map((part) => `${part.padEnd(14)}${stages.map(({ parts }) => cell(size(parts[`${part}Bytes`]))).join('')}`),
    `${'together'.padEnd(14)}${stages.map(({ parts }) => cell(size(parts.totalBytes))).join('')}`,
    `at most ${size(plan.peak.totalBytes)}, while ${{ loading: 'it is loaded', training: 'it is trained', generation: 'it answers' }[peakStage]}: ${verdicts[plan.verdict]}`,
    ...plan.reasons.map((reason) => `  ${reason}`),
    ...plan.tensors
      .filter(({ fit }) => fit === 'split')
      .map(({ name, sizeBytes }) => `  ${name} (${size(sizeBytes)}) is bound in pieces`),
  ];
  if (plan.verdict === 'too-large') {
    lines.push(remedies.at(-1)?.fits === true ? 'it would fit with' : 'not even with all of these would it fit');
    for (const remedy of remedies) {
      const { setting, from, to, costs, aloneBytes, togetherBytes } = remedy;
      lines.push(
        `  ${`${setting} ${to}`.padEnd(24)} instead of ${String(from).padEnd(10)} ${cell(size(aloneBytes))} alone, ${cell(size(togetherBytes))} with those above (${costs})`,
      );
    }
  }
  return lines.join('\n');
}
