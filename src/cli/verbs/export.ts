// export.ts: `pupil export`: an adapter as PEFT files, or merged into its student's weights.
import { Option, type Command } from 'commander';
import { perform, withSession, type VerbContext } from '../context';
import { expectFolder, outputFolder } from '../files';
import { pathInRoot } from '../host';
import { withDeviceFlags, type CommonFlags } from '../options';

interface ExportFlags extends CommonFlags {
  student: string;
  adapter: string;
  format: 'peft' | 'merged';
  out: string;
}

export function registerExport(program: Command, context: VerbContext): void {
  withDeviceFlags(program.command('export').description('write an adapter as PEFT, or merged into f32 weights'))
    .requiredOption('--student <dir>', 'folder with config.json and safetensors')
    .requiredOption('--adapter <dir>', 'PEFT adapter')
    .addOption(new Option('--format <format>', 'what to write').choices(['peft', 'merged']).default('merged'))
    .requiredOption('--out <dir>', 'an empty folder')
    .action((flags: ExportFlags) =>
      perform(context, flags.json === true, async (output) => {
        const student = expectFolder('--student', flags.student, 'config.json');
        const adapter = expectFolder('--adapter', flags.adapter, 'adapter_config.json');
        const out = outputFolder('--out', flags.out, [student, adapter]);
        return withSession(context, flags, output, async (session, host) => {
          const written = await session.exportStudent({
            files: host.reads([student, adapter]),
            out: host.folder(out),
            student: pathInRoot(student),
            adapter: pathInRoot(adapter),
            format: flags.format,
          });
          output.result('export', { format: flags.format, folder: out, written }, () =>
            written.map((path) => `wrote ${out}/${path}`).join('\n'),
          );
          return 0;
        });
      }),
    );
}
