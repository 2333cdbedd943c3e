// export.ts: `pupil export`: an adapter as PEFT files or GGUF, or merged into its student's weights (safetensors or GGUF).
import { Option, type Command } from 'commander';
import { PupilError } from '../../base/errors';
import type { ExportRequest } from '../../session/protocol';
import { perform, withSession, type VerbContext } from '../context';
import { outputFolder } from '../files';
import { ADAPTER_HELP, expectModelFolder, expectStudent, STUDENT_HELP } from '../modelFolder';
import { QUANTIZE, withDeviceFlags, type CommonFlags } from '../options';

interface ExportFlags extends CommonFlags, Pick<ExportRequest, 'format' | 'quantize' | 'dtype'> {
  student: string;
  adapter: string;
  out: string;
}

const FORMATS = ['merged', 'gguf', 'peft', 'gguf-adapter'] as const;

/** Flags that say nothing of a format are a misunderstanding. Throws `usage`. */
function refuseFlags({ format, quantize, dtype }: ExportFlags): void {
  const refuse = (flag: string, formats: string): never => {
    throw new PupilError(
      'usage',
      `${flag}: expected --format ${formats}, got ${format}`,
      'An adapter is written as it is: leave the flag out.',
    );
  };
  if (quantize !== undefined && format !== 'merged' && format !== 'gguf') refuse('--quantize', 'merged or gguf');
  if (dtype !== undefined && format === 'peft') refuse('--dtype', 'merged, gguf or gguf-adapter');
}

export function registerExport(program: Command, context: VerbContext): void {
  withDeviceFlags(
    program
      .command('export')
      .description('write an adapter as PEFT or GGUF, or merged into its student (docs/export.md)'),
  )
    .requiredOption('--student <student>', STUDENT_HELP)
    .requiredOption('--adapter <adapter>', ADAPTER_HELP)
    .addOption(
      new Option(
        '--format <format>',
        'merged: safetensors; gguf: the same for llama.cpp; peft, gguf-adapter: the adapter alone',
      )
        .choices(FORMATS)
        .default('merged'),
    )
    .addOption(
      new Option(
        '--quantize <kind>',
        'values of the base that it is merged over (default: those it was trained over, where its folder says so, else none: the stored ones)',
      ).choices(QUANTIZE),
    )
    .addOption(
      new Option(
        '--dtype <dtype>',
        'of the merged weights; keep = as stored (default; gguf: f16; gguf-adapter: f32)',
      ).choices(['keep', 'f32', 'f16', 'bf16']),
    )
    .requiredOption('--out <dir>', 'an empty folder')
    .action((flags: ExportFlags) =>
      perform(context, flags.json === true, async (output) => {
        const { format, quantize, dtype } = flags;
        refuseFlags(flags);
        const student = expectStudent('--student', flags.student);
        const adapter = expectModelFolder('--adapter', flags.adapter, 'adapter_config.json');
        const inputs = [student, adapter].flatMap(({ path }) => (path === undefined ? [] : [path]));
        const out = outputFolder('--out', flags.out, inputs);
        return withSession(context, flags, output, async (session, host) => {
          const summary = await session.exportStudent({
            files: host.reads(inputs),
            out: host.folder(out),
            student: student.folder,
            adapter: adapter.folder,
            format,
            ...(quantize === undefined ? {} : { quantize }),
            ...(dtype === undefined ? {} : { dtype }),
          });
          for (const note of summary.notes) output.note(note);
          output.result('export', { format, folder: out, ...summary }, () =>
            summary.written.map((path) => `wrote ${out}/${path}`).join('\n'),
          );
          return 0;
        });
      }),
    );
}
