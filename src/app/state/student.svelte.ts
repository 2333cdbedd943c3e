// student.svelte.ts: the choice of a student: where it is, with which settings, what it would take, and what is done with it: the
// experiment is given it, or it is talked with. Bytes, limits and remedies are the session's. The token of a Hub is kept here
// and in the session, in memory, and nowhere else.
import { PupilError } from '../../base/errors';
import type { Experiment, ExperimentInput } from '../../config/experiment';
import { expectEndpoint, HUB_ENDPOINT, parseHubName } from '../../config/hubName';
import { isPicked, pickedSource, studentFolder, studentName } from '../../config/studentFolder';
import type { FileRoot, HubSettings, PlannedStudent, Remedy, SessionApi } from '../../session/protocol';
import { findModel, type FoundModel } from '../modelFolder';
import type { PickedFolder } from '../pickedFiles';
import { planSettings, UNSETTABLE, withRemedy, withStudent, type OwnSettings } from '../studentSettings';
import type { DeviceState } from './device.svelte';
import type { PreparedRun } from './experimentFiles';
import type { Experiments } from './experiments.svelte';
import { Latest } from './latest';
import { toNotice, type Notice } from './notice';

type StudentSource = ExperimentInput['student']['source'];
export type StudentOrigin = 'experiment' | 'hub' | 'address' | 'folder';

/** A student to talk with: its files and, as an experiment has it, itself. */
export interface ChosenStudent {
  label: string;
  files: FileRoot;
  student: { source: StudentSource; quantize: string; tier: string };
}

export interface StudentPlace {
  session: SessionApi;
  device: DeviceState;
  experiments: Experiments;
  pageBase: string;
  prepareData: () => Promise<PreparedRun>;
  /** Hands the student to the page's talk. */
  talkTo: (student: ChosenStudent | undefined) => void;
}

/** What was planned: it belongs to the fields as they were. */
interface Shown {
  source: StudentSource;
  label: string;
  plan: PlannedStudent;
}

export class StudentBox {
  /** Whether the section is unfolded. */
  open = $state(false);
  origin = $state<StudentOrigin>('experiment');
  repo = $state('');
  revision = $state('');
  /** Of a mirror; empty: the Hub itself. */
  endpoint = $state('');
  token = $state('');
  address = $state('');
  folder = $state.raw<FoundModel>();
  own = $state.raw<OwnSettings>({});
  /** GiB, as typed; empty: none. */
  budgetText = $state('');

  planning = $state(false);
  shown = $state.raw<Shown>();
  /** What was done with it. */
  done = $state('');
  notice = $state.raw<Notice>();
  private readonly latest = new Latest();

  constructor(private readonly place: StudentPlace) {}

  /** The experiment's settings where nothing else is set. */
  readonly standard = $derived.by(() => {
    const { experiment } = this.place.experiments.checked;
    return experiment === undefined ? undefined : planSettings(experiment, this.own, this.autoTier);
  });

  /** What is missing before it can be looked at. */
  readonly missing = $derived.by(() => {
    switch (this.origin) {
      case 'experiment':
        return this.place.experiments.missingStudent;
      case 'hub':
        return this.repo.trim() === '' ? 'Name a model of the Hub.' : '';
      case 'address':
        return this.address.trim() === '' ? 'Give the address of a folder with config.json.' : '';
      case 'folder':
        return this.folder === undefined ? 'Pick or drop a folder.' : '';
    }
  });

  /** Without weights it can be planned, and that is all. */
  readonly usable = $derived(this.shown !== undefined && this.shown.plan.download.from !== 'estimate');

  private get autoTier(): 'f32' | 'f16' {
    return this.place.device.report?.variants?.autoTier.tier === 'f16' ? 'f16' : 'f32';
  }

  /** Another student: what was said is of the one before. */
  changed(): void {
    this.latest.cancel();
    this.planning = false;
    this.shown = undefined;
    this.done = '';
    this.notice = undefined;
  }

  /** Other settings of the same student: what was shown is computed anew. */
  settingChanged(own: OwnSettings): void {
    this.own = own;
    this.replan();
  }

  replan(): void {
    this.done = '';
    if (this.shown !== undefined || this.planning) void this.look();
  }

  /** A pasted address becomes the name of its model, and what revision it says. */
  nameChanged(): void {
    this.changed();
    if (this.repo.trim() === '') return;
    try {
      const { repo, revision } = this.hubName();
      this.repo = repo;
      if (revision !== undefined) this.revision = revision;
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** An emptied token is forgotten at once. */
  async hubChanged(): Promise<void> {
    this.changed();
    try {
      await this.place.session.setHub(this.hubSettings());
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  async takeFolder(reading: Promise<PickedFolder>): Promise<void> {
    this.changed();
    this.folder = undefined;
    try {
      const picked = await reading;
      const found = findModel(picked);
      if (found === undefined) {
        throw new PupilError(
          'checkpoint',
          `student: expected a folder with config.json, got ${picked.files.length} files without one`,
          'Pick the folder that was downloaded from the Hub: config.json, model.safetensors (or its shards), tokenizer.json.',
        );
      }
      this.folder = found;
      const at = studentFolder(pickedSource(found.name));
      const { experiments } = this.place;
      experiments.pickedStudents = { ...experiments.pickedStudents, [at]: found.files };
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** Asks what the student would take; nothing but config.json and sizes is read. */
  async look(): Promise<void> {
    this.done = '';
    this.notice = undefined;
    this.planning = true;
    try {
      const told = await this.latest.run(() => this.plan());
      if (told === undefined) return; // of another student, or other settings
      this.shown = told.value;
    } catch (error) {
      this.shown = undefined;
      this.notice = toNotice(error);
    }
    this.planning = false;
  }

  apply(remedy: Remedy): void {
    if (this.shown === undefined) return;
    this.settingChanged(withRemedy(this.own, remedy, this.shown.plan.settings));
  }

  /** The experiment is given this student and these settings. */
  use(): void {
    const { shown, place } = this;
    if (shown === undefined) return;
    this.notice = undefined;
    try {
      const experiment = this.experiment();
      const source = this.origin === 'experiment' ? {} : { source: shown.source };
      const own = shown.plan.prequantised ? { ...this.own, quantize: 'none' as const } : this.own;
      place.experiments.change((document) =>
        withStudent(document, experiment, { ...source, own, settings: shown.plan.settings }),
      );
      this.done = `The experiment “${experiment.name}” now has the student ${shown.label}. Its prompts are as before${
        experiment.prompt.wrapper === 'none' ? ', without a wrapper' : ` (wrapper: ${experiment.prompt.wrapper})`
      }.${isPicked(shown.source) ? ' After a reload of the page its folder must be picked again.' : ''}`;
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** Opens the page's talk with this student. */
  async talk(): Promise<void> {
    const { shown, place } = this;
    if (shown === undefined) return;
    try {
      if (this.origin === 'experiment') return place.talkTo(undefined);
      const quantize = shown.plan.prequantised ? 'none' : shown.plan.settings.quantize;
      const tier = this.own.tier ?? this.experiment().student.tier;
      const { files } = await this.where(shown.source);
      place.talkTo({ label: shown.label, files, student: { source: shown.source, quantize, tier } });
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  private experiment(): Experiment {
    const { experiment, problem } = this.place.experiments.checked;
    if (experiment !== undefined) return experiment;
    throw new PupilError('config', problem?.message ?? 'No experiment is chosen.', problem?.hint);
  }

  private async plan(): Promise<Shown> {
    const { session, device } = this.place;
    const budgetBytes = this.budgetBytes();
    const settings = planSettings(this.experiment(), this.own, this.autoTier);
    if (this.origin === 'hub') await session.setHub(this.hubSettings());
    const source = await this.source();
    const { files, folder } = await this.where(source);
    const noHalf = device.report !== undefined && !device.report.tiers.includes('f16');
    const plan = await session.planStudent({
      files,
      student: folder,
      settings,
      fixed: noHalf ? [...UNSETTABLE, 'tier'] : UNSETTABLE,
      ...(budgetBytes === undefined ? {} : { budgetBytes }),
    });
    return { source, label: studentName(source), plan };
  }

  private async source(): Promise<StudentSource> {
    switch (this.origin) {
      case 'experiment':
        return (await this.place.prepareData()).experiment.student.source;
      case 'hub': {
        const name = this.hubName();
        const revision = this.revision.trim() || name.revision;
        const endpoint = this.hubSettings().endpoint;
        return {
          kind: 'hub',
          repo: name.repo,
          ...(revision === undefined ? {} : { revision }),
          ...(endpoint === undefined ? {} : { endpoint }),
        };
      }
      case 'address':
        try {
          return { kind: 'url', url: new URL(this.address.trim(), this.place.pageBase).href };
        } catch (cause) {
          throw new PupilError('source', `student: expected an address, got ${this.address.trim()}`, undefined, {
            cause,
          });
        }
      case 'folder':
        if (this.folder === undefined) throw new PupilError('source', this.missing);
        return pickedSource(this.folder.name);
    }
  }

  /** The root that has the student, and its folder there. */
  private async where(source: StudentSource): Promise<{ files: FileRoot; folder: string }> {
    const folder = studentFolder(source);
    const page: FileRoot = { kind: 'http', base: this.place.pageBase };
    const picked = this.place.experiments.pickedStudents[folder];
    if (picked !== undefined) {
      return { files: { kind: 'mounted', at: folder, root: { kind: 'blobs', files: picked }, rest: page }, folder };
    }
    if (this.origin === 'experiment' && source.kind === 'directory') {
      return { files: (await this.place.experiments.prepare(this.place.pageBase)).files, folder };
    }
    return { files: page, folder };
  }

  private hubName(): ReturnType<typeof parseHubName> {
    return parseHubName(this.repo, this.hubSettings().endpoint ?? HUB_ENDPOINT);
  }

  private hubSettings(): HubSettings {
    const [endpoint, token] = [this.endpoint.trim(), this.token.trim()];
    return {
      ...(endpoint === '' ? {} : { endpoint: expectEndpoint(endpoint) }),
      ...(token === '' ? {} : { token }),
    };
  }

  private budgetBytes(): number | undefined {
    const text = this.budgetText.trim().replace(',', '.');
    if (text === '') return undefined;
    const bytes = Math.round(Number(text) * 2 ** 30);
    if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
    throw new PupilError(
      'config',
      `budget: expected GiB as a number above 0, got ${text}`,
      'E.g. 8, or 3.5. Empty: none.',
    );
  }
}
