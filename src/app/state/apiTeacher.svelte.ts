// apiTeacher.svelte.ts: a teacher behind an API as the page shows it: whom to ask, with which key, at what price. The key is in
// memory only, unless a person has it remembered; settings are remembered without it. The rest is lesson.svelte.ts.
import { API_PROVIDERS, findProvider } from '../../config/apiProviders';
import { PupilError } from '../../base/errors';
import type { TeachEvent, TeachRequest, TeachSummary } from '../../session/protocol';
import { Lesson, typedNumber, type LessonSettings } from './lesson.svelte';
import type { TeacherPlace } from './teacherPlace';

/** Followed by the address that it is for. */
const KEY = 'pupil-teacher-key:';

export interface TeacherSettings extends LessonSettings {
  provider: string;
  baseUrl: string;
  samples: string;
  priceIn: string;
  priceOut: string;
  budgetCost: string;
  budgetTokens: string;
}

const DEFAULTS: TeacherSettings = {
  provider: 'ollama',
  baseUrl: '',
  model: '',
  task: '',
  label: '',
  family: 'out-family',
  system: '',
  temperature: '0.7',
  maxTokens: '512',
  samples: '1',
  limit: '',
  priceIn: '',
  priceOut: '',
  budgetCost: '',
  budgetTokens: '',
};

export class ApiTeacher extends Lesson<TeacherSettings> {
  key = $state('');
  /** Whether the key that is typed is kept in this browser. */
  keyKept = $state(false);

  constructor(place: TeacherPlace) {
    super(place, 'pupil-teacher', DEFAULTS);
    this.recallKey();
  }

  readonly providers = API_PROVIDERS;
  readonly provider = $derived(API_PROVIDERS.find(({ id }) => id === this.settings.provider) ?? API_PROVIDERS[0]);
  readonly address = $derived.by(() => {
    const typed = this.settings.baseUrl.trim();
    return typed === '' && 'baseUrl' in this.provider ? this.provider.baseUrl : typed;
  });

  /** After provider or address have changed: a key typed for one place must not go to another. */
  moved(): void {
    this.recallKey();
    this.changed();
  }

  /** The person's explicit choice; the key of this address only. */
  keepKey(keep: boolean): void {
    this.keyKept = keep;
    const name = KEY + this.address;
    try {
      if (keep && this.key !== '') this.place.memory.setItem(name, this.key);
      else this.place.memory.removeItem(name);
    } catch {
      this.keyKept = false; // no room, or storage is switched off
    }
  }

  /** A key that was typed anew takes the place of the kept one. */
  keyTyped(): void {
    if (this.keyKept) this.keepKey(true);
  }

  forgetKey(): void {
    this.keepKey(false);
    this.key = '';
  }

  protected override teach(request: TeachRequest, onEvent: (event: TeachEvent) => void): Promise<TeachSummary> {
    return this.place.session.teach(request, onEvent);
  }

  protected override async request(retryFailed: boolean): Promise<TeachRequest> {
    const { settings } = this;
    const wanted = await this.wanted(retryFailed);
    if (findProvider(settings.provider).key === 'required' && this.key.trim() === '') {
      throw new PupilError('usage', `teacher: expected a key for ${this.provider.title}, got nothing`);
    }
    const [priceIn, priceOut] = [
      typedNumber(settings.priceIn, 'price in'),
      typedNumber(settings.priceOut, 'price out'),
    ];
    if ((priceIn === undefined) !== (priceOut === undefined)) {
      throw new PupilError('usage', 'teacher: expected both prices or none', 'They are per million tokens.');
    }
    const cost = typedNumber(settings.budgetCost, 'budget');
    const tokens = typedNumber(settings.budgetTokens, 'budget of tokens');
    return {
      ...wanted,
      provider: settings.provider,
      ...(settings.baseUrl.trim() === '' ? {} : { baseUrl: settings.baseUrl.trim() }),
      model: settings.model.trim(),
      ...(this.key.trim() === '' ? {} : { key: this.key }),
      samples: typedNumber(settings.samples, 'answers to each question') ?? 1,
      ...(priceIn === undefined ? {} : { prices: { inputPerMillion: priceIn, outputPerMillion: priceOut! } }),
      ...(cost === undefined && tokens === undefined
        ? {}
        : { budget: { ...(cost === undefined ? {} : { cost }), ...(tokens === undefined ? {} : { tokens }) } }),
    };
  }

  private recallKey(): void {
    this.key = this.place.memory.getItem(KEY + this.address) ?? '';
    this.keyKept = this.key !== '';
  }
}
