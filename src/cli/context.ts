// context.ts: what every verb is given: a way to speak, a way to a session, and one place where exit codes come from.
// Tests hand in a fake host here.
import { PupilError } from '../base/errors';
import type { DeviceOptions, SessionApi } from '../session/protocol';
import type { Host, HostOptions } from './host';
import { hasNvidiaDevice, thisMachine, type Machine } from './machine';
import { hubFromEnvironment } from './modelFolder';
import { cardOfSession, deviceOptions, type CommonFlags } from './options';
import type { Output } from './output';

/** 0 fine · 1 failed · 2 the command line is wrong · 130 stopped by Ctrl-C. */
export type ExitCode = 0 | 1 | 2 | 130;

export interface VerbContext {
  output: (json: boolean) => Output;
  openHost: (options: HostOptions) => Promise<Host>;
  /** What is asked about the machine; this one where absent. */
  machine?: Machine;
  /** What is typed or piped; standard input where absent. */
  input?: NodeJS.ReadableStream & { isTTY?: boolean };
  /** Told once, when the verb is over. */
  exit: (code: ExitCode) => void;
}

/** The machine that a verb asks about. */
export const machineOf = (context: Pick<VerbContext, 'machine'>): Machine => context.machine ?? thisMachine();

/** Runs a verb's work; errors are printed and become exit codes here and nowhere else. */
export async function perform(
  context: VerbContext,
  json: boolean,
  work: (output: Output) => Promise<ExitCode>,
): Promise<void> {
  const output = context.output(json);
  try {
    context.exit(await work(output));
  } catch (error) {
    output.error(error);
    context.exit(error instanceof PupilError && error.code === 'usage' ? 2 : 1);
  } finally {
    output.close();
  }
}

/** Opens a host and its device, does the work, and closes the host whatever happened. */
export async function withSession(
  context: VerbContext,
  flags: CommonFlags,
  output: Output,
  work: (session: SessionApi, host: Host) => Promise<ExitCode>,
  keepIn?: string,
): Promise<ExitCode> {
  const openThenWork = async (session: SessionApi, host: Host): Promise<ExitCode> => {
    await session.open(openOptions(context, flags, host));
    return work(session, host);
  };
  return withHost(context, flags, output, openThenWork, keepIn);
}

/** Opens a host and leaves its device alone. */
export async function withHost(
  context: VerbContext,
  flags: CommonFlags,
  output: Output,
  work: (session: SessionApi, host: Host) => Promise<ExitCode>,
  keepIn?: string,
): Promise<ExitCode> {
  const host = await context.openHost(hostOptions(flags, output, keepIn));
  try {
    await giveHub(host, output);
    return await work(host.session, host);
  } finally {
    await host.close();
  }
}

/** How a session is to open its device: as the flags say, and never silently in software on a machine with a card. */
export function openOptions(context: Pick<VerbContext, 'machine'>, flags: CommonFlags, host: Host): DeviceOptions {
  return deviceOptions(flags, host, hasNvidiaDevice(machineOf(context)));
}

/** How the flags ask for a host. @throws PupilError `usage` where they name several cards */
export function hostOptions(flags: CommonFlags, output: Output, keepIn?: string): HostOptions {
  const card = cardOfSession(flags);
  return {
    ...(card === undefined ? {} : { card }),
    kind: flags.host,
    gpu: flags.gpu,
    note: (text) => output.note(text),
    ...(keepIn === undefined ? {} : { keepIn }),
  };
}

/** Tells the host's session what the environment says of a hub. */
export async function giveHub(host: Host, output: Output): Promise<void> {
  const hub = hubFromEnvironment((text) => output.note(text));
  if (hub !== undefined) await host.session.setHub(hub);
}
