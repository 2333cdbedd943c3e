// cachedStudents.svelte.ts: the students that this browser keeps packed, and what was found when one was verified. What is in
// the cache, and when a student goes into it, is the session's.
import type { CachedStudent, SessionApi, VerifiedStudent } from '../../session/protocol';
import { toNotice, type Notice } from './notice';

export class CachedStudents {
  students = $state.raw<readonly CachedStudent[]>([]);
  /** By key. */
  verified = $state.raw<ReadonlyMap<string, VerifiedStudent>>(new Map());
  /** The key of the one whose checksums are being computed. */
  verifying = $state('');
  notice = $state.raw<Notice>();

  constructor(private readonly session: SessionApi) {}

  /** Bytes of all of them. */
  readonly sizeBytes = $derived.by(() => this.students.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));

  async refresh(): Promise<void> {
    await this.guarded(async () => {
      this.students = await this.session.cachedStudents();
      const there = new Set(this.students.map(({ key }) => key));
      this.verified = new Map([...this.verified].filter(([key]) => there.has(key)));
    });
  }

  async verify(key: string): Promise<void> {
    if (this.verifying !== '') return;
    this.verifying = key;
    await this.guarded(async () => {
      this.verified = new Map([...this.verified, [key, await this.session.verifyCachedStudent(key)]]);
    });
    this.verifying = '';
  }

  async remove(key: string): Promise<void> {
    const gone = await this.guarded(() => this.session.deleteCachedStudent(key));
    if (gone) await this.refresh();
  }

  private async guarded(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.notice = undefined;
      return true;
    } catch (error) {
      this.notice = toNotice(error);
      return false;
    }
  }
}
