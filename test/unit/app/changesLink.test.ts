// changesLink.test.ts: an experiment's changes in an address: whole or, where they are too long, with a word about what is missing;
// never with texts of demonstrations; and whatever an address may hold, refused without harm.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeChanges, encodeChanges, linkOf, MOST_CHARACTERS } from '../../../src/app/state/changesLink';
import { PupilError } from '../../../src/base/errors';
import { withChanges, type ChangeSet } from '../../../src/config/differences';
import { checkExperiment, parseExperiment, type Experiment } from '../../../src/config/experiment';
import { preset } from '../../../src/config/presets';
import { withValue } from '../../../src/config/settingValues';
import { changedPreset } from '../../support/randomExperiment';

const lesson = preset('lesson');

/** The experiment that a link makes. */
async function opened(base: unknown, changes: string): Promise<Experiment> {
  const made = withChanges(base, await decodeChanges(changes));
  if ('problem' in made) throw new Error(made.problem.path);
  return parseExperiment(made.document);
}

describe('changes in an address', () => {
  it('bring back the same experiment, the seed aside, in letters that an address takes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (g) => {
        const { base, document } = changedPreset(g, 20);
        const { changes, leftOut } = await linkOf(base, document);
        expect(leftOut).toEqual([]);
        expect(encodeURIComponent(changes)).toBe(changes);
        const { seed } = base as Experiment;
        expect(await opened(base, changes)).toEqual({ ...parseExperiment(document), seed });
      }),
      { numRuns: 10 },
    );
  });

  it('are short for few, and none for none', async () => {
    expect(await linkOf(lesson, lesson)).toEqual({ changes: '', leftOut: [] });
    const { changes } = await linkOf(lesson, withValue(lesson, ['phases', 'selfRefine', 'beta'], 0.2));
    expect(changes.length).toBeLessThan(60);
    // A whole experiment of another kind fits as well.
    expect((await linkOf(lesson, preset('paper'))).changes.length).toBeLessThan(2000);
  });

  it('never hold texts of demonstrations, and say so', async () => {
    const edits = [{ id: 'scripted, in-family/1', answer: 'SECRET text of a person' }];
    const document = withValue(withValue(lesson, ['demonstrations', 0, 'edits'], edits), ['adapter', 'rank'], 8);
    const { changes, leftOut } = await linkOf(lesson, document);
    expect(leftOut).toEqual(['demonstrations[0].edits']);
    expect(JSON.stringify(await decodeChanges(changes))).toBe('{"adapter.rank":8}');
    // Also where the teachers are replaced as a whole.
    const second = withValue(
      document,
      ['demonstrations'],
      [...(document as Experiment).demonstrations, (document as Experiment).demonstrations[0]],
    );
    const whole = await linkOf(lesson, second);
    expect(JSON.stringify(await decodeChanges(whole.changes))).not.toContain('SECRET');
  });

  it('that are too long leave out the longest, and still make an experiment', async () => {
    let state = 1;
    const letter = (): string => String.fromCharCode(35 + ((state = (state * 48271) % 2147483647) % 57));
    const noise = Array.from({ length: 9000 }, letter).join('');
    const document = withValue(withValue(lesson, ['notes'], noise), ['adapter', 'rank'], 8);
    const { changes, leftOut } = await linkOf(lesson, document);
    expect(leftOut).toEqual(['notes']);
    expect(changes.length).toBeLessThanOrEqual(MOST_CHARACTERS);
    expect(await opened(lesson, changes)).toMatchObject({ adapter: { rank: 8 }, notes: lesson.notes });
    // Where what is left would be no experiment, nothing is.
    const renamed = withValue(
      withValue(lesson, ['tasks', 0, 'name'], `T${noise}`),
      ['demonstrations', 0, 'task'],
      `T${noise}`,
    );
    const none = await linkOf(lesson, withValue(renamed, ['adapter', 'rank'], 8), 200);
    expect(none.changes).toMatch(/^$|^1/);
    if (none.changes === '') expect(none.leftOut).toContain('adapter.rank');
    else await opened(lesson, none.changes);
  });

  it('of any text whatever are read as changes or refused, never more', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.base64String().map((text) => `1${text.replace(/=+$/, '')}`),
        ),
        async (text) => {
          try {
            const made = withChanges(lesson, await decodeChanges(text));
            if ('document' in made) checkExperiment(made.document);
          } catch (error) {
            expect(error).toBeInstanceOf(PupilError);
            expect((error as PupilError).code).toBe('config');
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('that unpack to very much are refused before they do', async () => {
    const bomb = await encodeChanges({ notes: 'a'.repeat(2_000_000) });
    expect(bomb.length).toBeLessThan(4 * MOST_CHARACTERS);
    await expect(decodeChanges(bomb)).rejects.toThrow('cannot be unpacked');
    await expect(decodeChanges('1'.padEnd(5 * MOST_CHARACTERS, 'A'))).rejects.toThrow('30000 characters');
  });

  it('that reach for the prototype change nothing but what they name, and are refused as settings', async () => {
    const made = withChanges(
      lesson,
      await decodeChanges(
        await encodeChanges(JSON.parse('{"__proto__.polluted": 1, "__proto__": {"polluted": 1}}') as ChangeSet),
      ),
    );
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    if ('document' in made) expect(checkExperiment(made.document).experiment).toBeUndefined();
  });
});
