// student.svelte.ts: the choice of a student: where it is, what it would take with the experiment's settings, and what is done with
// it: the experiment is given it, or it is talked with. Settings are the experiment's own; bytes, limits and remedies are the
// session's. The token of a Hub is kept here and in the session, in memory, and nowhere else.
import { PupilError } from '../../base/errors';
import type { Experiment, ExperimentInput } from '../../config/experiment';
import { expectEndpoint, HUB_ENDPOINT, parseHubName } from '../../config/hubName';
import { isPicked, pickedSource, studentFolder, studentName } from '../../config/studentFolder';
import type { FileRoot, HubSettings, PlannedStudent, Remedy, SessionApi } from '../../session/protocol';
import { findModel, type FoundModel } from '../modelFolder';
import type { PickedFolder } from '../pickedFiles';
import { planSettings, UNSETTABLE, withRemedy, withStudent } from '../studentSettings';
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
  origin = $state<StudentOrigin>('experiment');
  repo = $state('');
  revision = $state('');
  /** Of a mirror; empty: the Hub itself. */
  endpoint = $state('');
  token = $state('');
  address = $state('');
  folder = $state.raw<FoundModel>();

  planning = $state(false);
  shown = $state.raw<Shown>();
  /** What was done with it. */
  done = $state('');
  notice = $state.raw<Notice>();
  private readonly latest = new Latest();
  private plannedKey = '';

  constructor(private readonly place: StudentPlace) {}

  /** What a plan follows from, beside the student itself where that is another one: it is shown anew when this changes. */
  readonly planKey = $derived.by(() => {
    const { experiment } = this.place.experiments.checked;
    if (experiment === undefined) return '';
    const { student, limits } = experiment;
    const own = this.origin === 'experiment' ? student.source : undefined;
    return JSON.stringify([planSettings(experiment, {}, this.autoTier), limits.maxGpuBytes, own]);
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
    this.plannedKey = '';
    this.done = '';
    this.notice = undefined;
  }

  /**
   * The experiment's settings have changed, or it is looked at for the first time: what was shown is computed anew. A student
   * that comes with the page is looked at unasked; of others nothing is fetched before somebody says so.
   */
  settingsChanged(): void {
    const { experiment } = this.place.experiments.checked;
    if (experiment === undefined || this.planKey === this.plannedKey) return;
    const { source } = experiment.student;
    const isOwn = this.origin === 'experiment';
    if (isOwn && this.shown !== undefined && studentName(this.shown.source) !== studentName(source)) this.changed();
    const known = this.shown !== undefined || this.planning;
    const isHere = isOwn && source.kind === 'bundled' && this.place.device.status !== 'asleep';
    if (known || isHere) void this.look();
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
    this.notice = undefined;
    this.planning = true;
    this.plannedKey = this.planKey;
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

  /** A setting that makes it fit becomes the experiment's. */
  apply(remedy: Remedy): void {
    const { shown } = this;
    if (shown === undefined) return;
    this.done = '';
    this.give((document, experiment) => {
      const own = withRemedy({}, remedy, shown.plan.settings);
      return withStudent(document, experiment, { own, settings: planSettings(experiment, own, this.autoTier) });
    });
    void this.look();
  }

  /** The experiment is given this student. */
  use(): void {
    const { shown } = this;
    if (shown === undefined) return;
    this.give((document, experiment) => {
      const source = this.origin === 'experiment' ? {} : { source: shown.source };
      const own = shown.plan.prequantised ? { quantize: 'none' as const } : {};
      this.done = `The experiment “${experiment.name}” now has the student ${shown.label}. Its prompts are as before${
        experiment.prompt.wrapper === 'none' ? ', without a wrapper' : ` (wrapper: ${experiment.prompt.wrapper})`
      }.${isPicked(shown.source) ? ' After a reload of the page its folder must be picked again.' : ''}`;
      return withStudent(document, experiment, { ...source, own, settings: shown.plan.settings });
    });
  }

  private give(update: (document: ExperimentInput, experiment: Experiment) => ExperimentInput): void {
    this.notice = undefined;
    try {
      const experiment = this.experiment();
      this.place.experiments.change((document) => update(document, experiment));
    } catch (error) {
      this.done = '';
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
      const { tier } = this.experiment().student;
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
    const budgetBytes = this.experiment().limits.maxGpuBytes;
    const settings = planSettings(this.experiment(), {}, this.autoTier);
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
}
