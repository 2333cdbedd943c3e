// sections.ts: the parts of the Lab's form: which settings stand together under which heading. A setting that is named nowhere here
// is in the last section, so that nothing of the schema is out of reach. It shows nothing.
import { EXPERIMENT_SETTINGS, type Setting } from '../../config/settings';

export const SECTIONS = [
  {
    name: 'student',
    title: 'Student and adapter',
    about: 'Which model learns, how it is held in memory, what of it is trained.',
    roots: ['student', 'adapter', 'prompt'],
  },
  {
    name: 'tasks',
    title: 'Tasks and splits',
    about: 'Which questions, which of them are trained on, which are tested.',
    roots: ['tasks'],
  },
  { name: 'teachers', title: 'Teachers', about: 'Whose worked answers are shown.', roots: ['demonstrations'] },
  {
    name: 'instruct',
    title: 'Phase 1: instruction-tuning',
    about: 'The student imitates the teachers’ reasoning (§2.1).',
    roots: ['phases.instruct', 'phases.control'],
  },
  {
    name: 'selfRefine',
    title: 'Phase 2: self-refine',
    about: 'It prefers its own reasoned answers to its unreasoned ones (§2.2).',
    roots: ['phases.selfRefine'],
  },
  {
    name: 'evaluation',
    title: 'Evaluation',
    about: 'How the untouched, the instructed and the refined student are tested (§3.3).',
    roots: ['phases.baseline', 'evaluation'],
  },
  {
    name: 'limits',
    title: 'Name, seed and limits',
    about: 'What the run is called, where its chance comes from, what it may take.',
    roots: ['name', 'notes', 'seed', 'limits'],
  },
] as const;

export type SectionName = (typeof SECTIONS)[number]['name'];

/** Settings that a panel of its own edits in place of a control, by their patterns. */
export const PANELS: Readonly<Record<string, 'StudentPanel' | 'TeachersPanel'>> = {
  'student.source': 'StudentPanel',
  'demonstrations[].exclude': 'TeachersPanel',
  'demonstrations[].edits': 'TeachersPanel',
};

/** The section of every setting below these ones; groups are taken apart where their settings stand in several sections. */
function place(settings: readonly Setting[], into: Map<SectionName, Setting[]>): void {
  for (const setting of settings) {
    const { pattern, shape } = setting;
    const own = SECTIONS.find(({ roots }) => (roots as readonly string[]).includes(pattern));
    const divided = SECTIONS.some(({ roots }) => roots.some((root) => root.startsWith(`${pattern}.`)));
    if (own === undefined && divided && shape.kind === 'group') place(shape.settings, into);
    else into.get(own?.name ?? 'limits')!.push(setting);
  }
}

/** What each section shows, in the order of its roots. */
export const SETTINGS_OF: ReadonlyMap<SectionName, readonly Setting[]> = (() => {
  const into = new Map<SectionName, Setting[]>(SECTIONS.map(({ name }) => [name, []]));
  place(EXPERIMENT_SETTINGS, into);
  for (const { name, roots } of SECTIONS) {
    const rank = ({ pattern }: Setting): number => {
      const at = (roots as readonly string[]).indexOf(pattern);
      return at === -1 ? roots.length : at;
    };
    into.get(name)!.sort((a, b) => rank(a) - rank(b));
  }
  return into;
})();

/** The section that has a path's control. */
export const sectionOf = (pattern: string): SectionName =>
  SECTIONS.find(({ roots }) => roots.some((root) => pattern === root || new RegExp(`^${root}[.[]`).test(pattern)))
    ?.name ?? 'limits';
