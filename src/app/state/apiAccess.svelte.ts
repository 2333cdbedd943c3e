// apiAccess.svelte.ts: a server that is asked, for a teacher or a judge: which provider, at what address, with which key, at what
// price. The key is in memory only, unless a person has it remembered. What is asked is its owner's.
import { API_PROVIDERS, findProvider } from '../../config/apiProviders';
import { PupilError } from '../../base/errors';
import type { ApiSettings } from '../../session/protocol';
import type { KeyValue } from './keyValue';
import { typedNumber } from './typedNumber';

/** Followed by the address that it is for. */
const KEY = 'pupil-teacher-key:';

/** As typed. Empty: the default, or none. */
export interface AccessSettings {
  provider: string;
  baseUrl: string;
  model: string;
  priceIn: string;
  priceOut: string;
  budgetCost: string;
  budgetTokens: string;
}

/** The part of a request that it makes. */
type AccessRequest = Pick<ApiSettings, 'provider' | 'baseUrl' | 'model' | 'key' | 'prices' | 'budget'>;

export class ApiAccess {
  key = $state('');
  /** Whether the key that is typed is kept in this browser. */
  keyKept = $state(false);

  /** @param changed is told after provider or address have changed. */
  constructor(
    private readonly memory: KeyValue,
    private readonly of: () => AccessSettings,
    private readonly changed: () => void,
  ) {
    this.recallKey();
  }

  readonly providers = API_PROVIDERS;

  get settings(): AccessSettings {
    return this.of();
  }

  get provider(): (typeof API_PROVIDERS)[number] {
    return API_PROVIDERS.find(({ id }) => id === this.settings.provider) ?? API_PROVIDERS[0];
  }

  get address(): string {
    const typed = this.settings.baseUrl.trim();
    return typed === '' && 'baseUrl' in this.provider ? this.provider.baseUrl : typed;
  }

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
      if (keep && this.key !== '') this.memory.setItem(name, this.key);
      else this.memory.removeItem(name);
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

  /** @throws PupilError `usage` for what is missing or mistyped; `who` names the one that is asked. */
  request(who: 'teacher' | 'judge'): AccessRequest {
    const { settings } = this;
    if (settings.model.trim() === '') {
      throw new PupilError('usage', `${who}: expected the name of a model, got nothing`);
    }
    if (findProvider(settings.provider).key === 'required' && this.key.trim() === '') {
      throw new PupilError('usage', `${who}: expected a key for ${this.provider.title}, got nothing`);
    }
    const [priceIn, priceOut] = [
      typedNumber(settings.priceIn, 'price in', who),
      typedNumber(settings.priceOut, 'price out', who),
    ];
    if ((priceIn === undefined) !== (priceOut === undefined)) {
      throw new PupilError('usage', `${who}: expected both prices or none`, 'They are per million tokens.');
    }
    const cost = typedNumber(settings.budgetCost, 'budget', who);
    const tokens = typedNumber(settings.budgetTokens, 'budget of tokens', who);
    return {
      provider: settings.provider,
      ...(settings.baseUrl.trim() === '' ? {} : { baseUrl: settings.baseUrl.trim() }),
      model: settings.model.trim(),
      ...(this.key.trim() === '' ? {} : { key: this.key }),
      ...(priceIn === undefined ? {} : { prices: { inputPerMillion: priceIn, outputPerMillion: priceOut! } }),
      ...(cost === undefined && tokens === undefined
        ? {}
        : { budget: { ...(cost === undefined ? {} : { cost }), ...(tokens === undefined ? {} : { tokens }) } }),
    };
  }

  private recallKey(): void {
    this.key = this.memory.getItem(KEY + this.address) ?? '';
    this.keyKept = this.key !== '';
  }
}
