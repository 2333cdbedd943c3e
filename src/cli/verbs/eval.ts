// eval.ts: `pupil eval`: one student, with or without an adapter, on the tasks of an experiment.
import { Option, type Command } from 'commander';
import type { Experiment } from '../../config/experiment';
import { perform, withSession, type VerbContext } from '../context';
import { loadExperiment } from '../experimentFile';
import { outputFolder } from '../files';
import { ADAPTER_HELP, expectModelFolder, expectStudent, here, STUDENT_HELP } from '../modelFolder';
import { cacheRequest, integerIn, QUANTIZE, withCacheFlags, withDeviceFlags, type CommonFlags } from '../options';
import { rowText } from '../output';

interface EvalFlags extends CommonFlags {
  student?: string;
  adapter?: string;
  prompt: 'plain' | 'cot' | 'both';
  limit?: number;
  out?: string;
  seed?: number;
  data?: string;
  quantize?: string;
}

/** The experiment with the flags that concern evaluation. */
function narrowed(experiment: Experiment, flags: EvalFlags): Experiment {
  return {
    ...experiment,
    evaluation: {
      ...experiment.evaluation,
      prompts: flags.prompt === 'both' ? ['plain', 'cot'] : [flags.prompt],
      ...(flags.limit === undefined ? {} : { limit: flags.limit }),
    },
  };
}

export function registerEval(program: Command, context: VerbContext): void {
  withCacheFlags(
    withDeviceFlags(
      program.command('eval').description('evaluate one student (and adapter) on the tasks of an experiment'),
    ),
  )
    .argument('<experiment>', 'a JSON file, a preset, or the name of a file in experiments/: its tasks and evaluation')
    .option('--student <student>', `replaces the experiment's student: ${STUDENT_HELP}`)
    .option('--adapter <adapter>', `${ADAPTER_HELP}; without it the untouched student is evaluated`)
    .addOption(new Option('--quantize <kind>', "replaces the experiment's quantisation").choices(QUANTIZE))
    .addOption(new Option('--prompt <kind>', 'which prompt').choices(['plain', 'cot', 'both']).default('both'))
    .option('--limit <n>', 'the first so many test items of each task', integerIn(1))
    .option('--seed <n>', "replaces the experiment's seed", integerIn(0, 0xffffffff))
    .option('--data <dir>', 'what {data} stands for in the experiment (default: PUPIL_DATA)')
    .option('--out <dir>', 'folder for predictions.jsonl')
    .action((name: string, flags: EvalFlags) =>
      perform(context, flags.json === true, async (output) => {
        const student = flags.student === undefined ? undefined : expectStudent('--student', flags.student);
        const adapter =
          flags.adapter === undefined
            ? undefined
            : expectModelFolder('--adapter', flags.adapter, 'adapter_config.json');
        const { experiment, inputs } = loadExperiment(name, flags);
        const never = [...here(student), ...here(adapter)];
        const out = flags.out === undefined ? undefined : outputFolder('--out', flags.out, never);
        return withSession(context, flags, output, async (session, host) => {
          const rows = await session.evaluate(
            {
              experiment: narrowed(experiment, flags),
              files: host.reads([...inputs, ...here(adapter)]),
              ...(out === undefined ? {} : { out: host.folder(out) }),
              ...(adapter === undefined ? {} : { adapter: adapter.folder }),
              ...cacheRequest(flags),
            },
            // Rows are printed once, at the end, as the result.
            (event) => {
              if (event.type !== 'evaluation') output.event(event);
            },
          );
          for (const row of rows) output.result('evaluation', { row }, () => rowText(row));
          return 0;
        });
      }),
    );
}
