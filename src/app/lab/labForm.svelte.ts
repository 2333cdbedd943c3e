// labForm.svelte.ts: the state of the Lab's form beside the experiment itself: what is unfolded, what is looked for, which problem
// stands at which setting, what is changed, and where the keyboard goes. The experiment is in state/experiments.svelte.ts.
import { tick } from 'svelte';
import type { ConfigProblem } from '../../config/experiment';
import { formatPath, parsePath, type ConfigPath } from '../../config/seriesPaths';
import { EXPERIMENT_SETTINGS, settingsWithin, type Setting } from '../../config/settings';
import { blankOf, branchOf, isFields, valueAt, withDefaults } from '../../config/settingValues';
import type { Address } from '../state/address.svelte';
import type { Experiments } from '../state/experiments.svelte';
import { SECTIONS, SETTINGS_OF, sectionOf, type SectionName } from './sections';

/** A problem, and the setting whose control can mend it. */
export interface PlacedProblem {
  problem: ConfigProblem;
  /** '' where no control has it: a key that is no setting. */
  at: string;
  title: string;
}

export const idOf = (path: ConfigPath | string): string =>
  `setting-${(typeof path === 'string' ? path : formatPath(path)).replace(/\W+/g, '-')}`;

const patternOf = (path: ConfigPath): string => formatPath(path).replace(/\[\d+\]/g, '[]');

/** The deepest setting on the way to a path, as far as the form has one. */
export function settingTowards(
  document: unknown,
  path: ConfigPath,
): { setting: Setting; path: ConfigPath } | undefined {
  let settings: readonly Setting[] = EXPERIMENT_SETTINGS;
  let found: { setting: Setting; path: ConfigPath } | undefined;
  for (let at = 0; at < path.length; at++) {
    const key = path[at]!;
    if (typeof key === 'number') {
      if (found?.setting.shape.kind !== 'list') break;
      found = { ...found, path: path.slice(0, at + 1) };
      continue;
    }
    const setting = settings.find((one) => one.key === key);
    if (setting === undefined) break;
    found = { setting, path: path.slice(0, at + 1) };
    const { shape } = setting;
    const branch =
      shape.kind === 'alternatives'
        ? shape.branches[branchOf(shape.branches, valueAt(document, found.path))]
        : undefined;
    settings = settingsWithin(branch?.shape ?? shape);
  }
  return found;
}

export class LabForm {
  /** Unfolded by hand; while something is looked for, sections are unfolded by what is found in them. */
  unfolded = $state<Record<SectionName, boolean>>(
    Object.fromEntries(SECTIONS.map(({ name }) => [name, false])) as Record<SectionName, boolean>,
  );
  showsDifferences = $state(false);
  /** What settings held when they were last on. */
  private readonly before = new Map<string, unknown>();

  constructor(
    readonly experiments: Experiments,
    private readonly address: Address,
  ) {}

  get filter(): string {
    return this.address.get('q');
  }
  set filter(text: string) {
    this.address.set({ q: text });
  }

  private readonly words = $derived.by(() => this.filter.toLowerCase().split(/\s+/).filter(Boolean));
  readonly searching = $derived(this.words.length > 0);

  readonly problems = $derived.by((): PlacedProblem[] =>
    this.experiments.checked.problems.flatMap((problem) =>
      (problem.fields ?? [problem.path]).map((text) => {
        const found = settingTowards(this.experiments.document, parsePath(text) ?? []);
        const at = found === undefined ? '' : formatPath(found.path);
        return { problem, at, title: found?.setting.title ?? text };
      }),
    ),
  );
  private readonly changedPaths = $derived.by(() => this.experiments.differences.map(({ path }) => formatPath(path)));

  problemsAt(path: ConfigPath): ConfigProblem[] {
    const here = formatPath(path);
    return this.problems.filter(({ at }) => at === here).map(({ problem }) => problem);
  }

  problemsIn(section: SectionName): number {
    return this.problems.filter(({ at }) => at !== '' && sectionOf(at) === section).length;
  }

  /** Whether it is not what was chosen. */
  isChanged(path: ConfigPath): boolean {
    const text = formatPath(path);
    return this.changedPaths.some((one) => one === text || text.startsWith(`${one}.`) || text.startsWith(`${one}[`));
  }

  changesIn(section: SectionName): number {
    return this.changedPaths.filter((path) => sectionOf(path) === section).length;
  }

  /** Whether the setting, or one within it, is looked for. */
  shows(setting: Setting): boolean {
    if (!this.searching) return true;
    const { title, why, pattern, unit = '', origin = '' } = setting;
    const text = `${title} ${why} ${pattern} ${unit} ${origin}`.toLowerCase();
    return (
      this.words.every((word) => text.includes(word)) || settingsWithin(setting.shape).some((one) => this.shows(one))
    );
  }

  /** Whether what is within a group is shown as a whole: nothing in it is what was looked for, it is itself. */
  showsAllOf(setting: Setting): boolean {
    return !settingsWithin(setting.shape).some((one) => this.shows(one));
  }

  isOpen(section: SectionName): boolean {
    if (!this.searching) return this.unfolded[section];
    return SETTINGS_OF.get(section)!.some((setting) => this.shows(setting));
  }

  set(path: ConfigPath, value: unknown): void {
    this.experiments.edit(path, value);
  }

  /** Switches settings on, with what they held when they were last on, else what was chosen, else what they begin with. */
  turnOn(path: ConfigPath, { shape }: Setting): void {
    const known = this.before.get(formatPath(path)) ?? valueAt(withDefaults(this.experiments.selected?.document), path);
    this.set(path, isFields(known) ? known : blankOf(shape));
  }

  turnOff(path: ConfigPath, { presence }: Setting): void {
    this.before.set(formatPath(path), valueAt(this.experiments.document, path));
    this.set(path, presence === 'optional' ? undefined : false);
  }

  /** Unfolds what has this setting and goes there. */
  async goTo(path: string): Promise<void> {
    const found = settingTowards(this.experiments.document, parsePath(path) ?? []);
    if (found === undefined) return;
    this.filter = '';
    this.unfolded[sectionOf(patternOf(found.path))] = true;
    await tick();
    const element = document.getElementById(idOf(found.path));
    for (let up = element; up !== null; up = up.parentElement) if (up instanceof HTMLDetailsElement) up.open = true;
    element?.scrollIntoView({ block: 'center' });
    const control = element?.matches('input, select, textarea, button')
      ? element
      : element?.querySelector<HTMLElement>('input, select, textarea, button');
    control?.focus({ preventScroll: true });
  }
}
