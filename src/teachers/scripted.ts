// scripted.ts: the teacher that is a script: it words solutions that the task itself works out, in one of several ways,
// and now and then with a plausible mistake. It knows no task: what it says is handed in. It is no language model, and
// its label says so wherever its demonstrations appear.
import { RandomStream } from '../base/random';
import { PupilError } from '../base/errors';
import type { TeacherItem } from './demonstration';

export type ScriptedFamily = 'in-family' | 'out-family';
export const SCRIPTED_FAMILIES = ['in-family', 'out-family'] as const satisfies readonly ScriptedFamily[];

/** The name under which a scripted teacher appears in tables and files. */
export const scriptedLabel = (family: ScriptedFamily, wrongRate = 0): string =>
  `scripted, ${family}${wrongRate > 0 ? `, ${Math.round(100 * wrongRate)} % wrong` : ''}`;

/** What a task must offer so that it can be taught by script. */
export interface Script<Item extends TeacherItem> {
  /** How many wordings a family of teachers has. */
  wordings(family: ScriptedFamily): number;
  /**
   * The solution of an item in one wording; with `mistakes`, one that is plausibly wrong and draws its mistake from there.
   * A wrong answer must be consistent with the reasoning before it.
   */
  write(item: Item, family: ScriptedFamily, wording: number, mistakes?: RandomStream): string;
}

export interface ScriptedTeacher {
  family: ScriptedFamily;
  seed: number;
  /** Share of the demonstrations that are wrong, in [0, 1]. Each is so by chance. */
  wrongRate: number;
}

/** What a scripted teacher answers. `wrong` says that a mistake was made on purpose. */
export interface ScriptedAnswer {
  text: string;
  wrong: boolean;
}

/**
 * A scripted teacher's answer to one item. It depends on the teacher's seed and the item's id only, not on what it was
 * asked before; a higher wrong rate makes more of the same items wrong.
 *
 * @throws PupilError `teacher` for a rate outside [0, 1].
 */
export function scriptedAnswer<Item extends TeacherItem>(
  script: Script<Item>,
  item: Item,
  { family, seed, wrongRate }: ScriptedTeacher,
): ScriptedAnswer {
  if (!(wrongRate >= 0 && wrongRate <= 1)) {
    throw new PupilError('teacher', `scriptedAnswer: wrongRate must be in [0, 1], got ${wrongRate}`);
  }
  const random = new RandomStream(seed, `scripted/${family}/${item.id}`);
  const wording = random.nextBelow(script.wordings(family));
  const wrong = random.nextUnit() < wrongRate;
  return { text: script.write(item, family, wording, wrong ? random : undefined), wrong };
}
