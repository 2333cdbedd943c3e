// apiTeacher.svelte.ts: a teacher behind an API as the page shows it. Whom to ask, with which key, at what price is
// apiAccess.svelte.ts, the rest lesson.svelte.ts; settings are remembered without the key.
import type { TeachEvent, TeachRequest, TeachSummary } from '../../session/protocol';
import { ApiAccess, type AccessSettings } from './apiAccess.svelte';
import { Lesson, type LessonSettings } from './lesson.svelte';
import type { TeacherPlace } from './teacherPlace';
import { typedNumber } from './typedNumber';

export interface TeacherSettings extends LessonSettings, AccessSettings {
  samples: string;
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
  readonly access: ApiAccess;

  constructor(place: TeacherPlace) {
    super(place, 'pupil-teacher', DEFAULTS);
    this.access = new ApiAccess(
      place.memory,
      () => this.settings,
      () => this.changed(),
    );
  }

  protected override teach(request: TeachRequest, onEvent: (event: TeachEvent) => void): Promise<TeachSummary> {
    return this.place.session.teach(request, onEvent);
  }

  protected override async request(retryFailed: boolean): Promise<TeachRequest> {
    const wanted = await this.wanted(retryFailed);
    return {
      ...wanted,
      ...this.access.request('teacher'),
      samples: typedNumber(this.settings.samples, 'answers to each question') ?? 1,
    };
  }
}
