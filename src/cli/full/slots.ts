// slots.ts: the places where a machine's jobs run: a card each, or just places in the line.
import { cardOf, expectSandbox } from '../cards';
import { machineOf, type VerbContext } from '../context';
import { cardOfSession } from '../options';
import type { RunFlags } from '../runs';

/** Where a job may run: a GPU of its own, or just a place in the line. */
export interface Slot {
  name: string;
  card?: number;
}

/** The places that `--gpus` or `--slots` ask for. @throws PupilError `usage`, `browser` for cards that cannot be had */
export function slotsOf(context: VerbContext, { slots = 1, gpus, host }: RunFlags & { slots?: number }): Slot[] {
  if (gpus !== undefined) {
    const machine = machineOf(context);
    const cards = gpus.map((card) => cardOf(machine, cardOfSession({ host, gpus: [card] })!));
    expectSandbox(machine, cards[0]!); // before the first run, not in the middle of it
    return cards.map(({ index }) => ({ name: `gpu-${index}`, card: index }));
  }
  return Array.from({ length: slots }, (_, i) => ({ name: `slot-${i + 1}` }));
}
