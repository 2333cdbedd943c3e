// remoteFile.ts: one file behind a URL as a ByteSource: read in ranges, each resumed at the byte where it broke off, and held
// to be the same file all the time. It knows nothing of what else lies there, nor of how the file was found.
import { PupilError } from '../base/errors';
import type { ByteSource } from '../formats/byteSource';
import { shownUrl, Transient, type Reply, type Requester } from './request';

export interface RemoteOptions {
  requester: Requester;
  /** For messages. */
  name: string;
  url: string;
  /** What is known of the file: its size in bytes, and the entity tags that it must have, by the place that gives them. */
  size: number;
  tags: Tags;
  /** Largest range of one request. */
  rangeBytes: number;
  /** Largest file taken whole from a server that ignores ranges. */
  wholeBytes: number;
  /** The error for a status that is neither success nor passing. */
  refused: (reply: Reply) => Promise<PupilError>;
  /** Told of bytes as they come over the network. */
  onBytes?: (count: number) => void;
}

/** After so many bytes of one reply, failures before it do not count any more. It bounds the requests for a range. */
const PROGRESS_BYTES = 2 ** 20;

/** What a response says about the size of the file and of its body; undefined where it does not say. */
export function sizesOf(headers: Headers): { start?: number; end?: number; total?: number; body?: number } {
  const range = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  const length = headers.get('content-length');
  return {
    ...(range?.[1] === undefined ? {} : { start: Number(range[1]), end: Number(range[2]) + 1 }),
    ...(range === null || range[3] === '*' ? {} : { total: Number(range[3]) }),
    // The length of compressed bytes says nothing.
    ...(length === null || isEncoded(headers) ? {} : { body: Number(length) }),
  };
}

function isEncoded(headers: Headers): boolean {
  return !['', 'identity'].includes(headers.get('content-encoding') ?? '');
}

/**
 * Entity tags as they are seen: `x-linked-etag` of the server that is asked, `etag` of each server that answers. Two servers
 * name the same bytes differently, one server never names other bytes the same.
 */
export class Tags {
  private readonly known = new Map<string, string>();

  /** @param linked what `x-linked-etag` must say, where that is known beforehand. */
  constructor(linked?: string) {
    if (linked !== undefined) this.known.set('linked', linked);
  }

  /** The tag that tells the file best. */
  get best(): string | undefined {
    return this.known.get('linked') ?? this.known.values().next().value;
  }

  /** Takes note; false where a tag has changed. */
  accept(reply: Reply): boolean {
    const seen: [string, string | null][] = [
      ...[...reply.hops, { headers: reply.response.headers }].map(({ headers }): [string, string | null] => [
        'linked',
        headers.get('x-linked-etag'),
      ]),
      [new URL(reply.url).origin, reply.response.headers.get('etag')],
    ];
    for (const [place, tag] of seen) {
      if (tag === null) continue;
      const plain = tag.replace(/^W\//, '').replace(/^"(.*)"$/, '$1');
      const before = this.known.get(place);
      if (before !== undefined && before !== plain) return false;
      this.known.set(place, plain);
    }
    return true;
  }
}

export class RemoteFile implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly fresh = true;
  readonly version?: string;
  /** Where the last redirect led: asked directly as long as it answers. */
  private direct: string | undefined;
  /** From a server without ranges. */
  private whole: Promise<Uint8Array> | undefined;

  constructor(private readonly options: RemoteOptions) {
    this.name = options.name;
    this.size = options.size;
    const version = options.tags.best;
    if (version !== undefined) this.version = version;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    if (start === end) return new Uint8Array(0);
    if (this.whole !== undefined) return (await this.whole).slice(start, end);
    const { rangeBytes } = this.options;
    if (end - start <= rangeBytes) return this.readRange(start, end);
    const bytes = new Uint8Array(end - start);
    const starts = Array.from({ length: Math.ceil((end - start) / rangeBytes) }, (_, i) => start + i * rangeBytes);
    let failed = false;
    const parts = await Promise.allSettled(
      starts.map(async (at) => {
        try {
          bytes.set(await this.readRange(at, Math.min(end, at + rangeBytes), () => failed), at - start);
        } catch (error) {
          failed = true;
          throw error;
        }
      }),
    );
    // None goes on behind the caller's back: all have ended, and what failed first is told.
    const reasons = parts.flatMap((part) => (part.status === 'rejected' ? [part.reason as Error] : []));
    const first = reasons.find((error) => !(error instanceof PupilError && error.code === 'cancelled')) ?? reasons[0];
    if (first !== undefined) throw first;
    return bytes;
  }

  /**
   * Bytes [start, end) by as many requests as it takes.
   * @param idle whether nobody waits for them any more.
   */
  private async readRange(start: number, end: number, idle = (): boolean => false): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    let have = 0;
    let asked = '';
    const whole = await this.options.requester.request(
      () => {
        if (idle()) throw new PupilError('cancelled', `${this.name}: another part of it could not be read`);
        asked = this.direct ?? this.options.url;
        return { url: asked, headers: { range: `bytes=${start + have}-${end - 1}` } };
      },
      async (reply) => {
        this.expectUsable(reply, asked);
        if (reply.response.status === 200) return this.takeWhole(reply);
        if (reply.response.status !== 206) throw await this.options.refused(reply);
        this.expectSame(reply);
        const { count, broken } = await this.fill(reply, bytes.subarray(have), start + have);
        have += count;
        if (have === bytes.byteLength) return undefined;
        const { message, cause } = broken ?? { message: `only ${count} bytes of the part that was asked for` };
        throw new Transient(message, { cause, progressed: count >= PROGRESS_BYTES });
      },
    );
    return whole === undefined ? bytes : whole.slice(start, end);
  }

  /** The file from a server that sends it whole, whatever is asked for; kept, so that it is sent once. */
  private takeWhole(reply: Reply): Promise<Uint8Array> {
    const { wholeBytes, name } = this.options;
    if (isPage(reply, name)) throw pageInstead(reply);
    if (this.size > wholeBytes) throw withoutRanges(reply, this.size);
    if (!this.options.tags.accept(reply)) throw this.changed('its entity tag is another');
    this.whole ??= this.readWhole(reply).catch((error: unknown) => {
      this.whole = undefined;
      throw error;
    });
    return this.whole;
  }

  private async readWhole(reply: Reply): Promise<Uint8Array> {
    const bytes = await reply.bytes(this.size);
    this.options.onBytes?.(bytes.byteLength);
    if (bytes.byteLength === this.size) return bytes;
    throw new Transient(`${bytes.byteLength} bytes where ${this.size} were promised`);
  }

  private expectUsable(reply: Reply, asked: string): void {
    const { url } = this.options;
    try {
      expectNotTurnedAway(reply, asked, url);
    } catch (error) {
      this.direct = undefined; // asked for anew
      throw error;
    }
    // Only from a redirect just followed: a reply to an older address must not bring it back.
    if (reply.response.status < 300 && asked === url && isElsewhere(reply, url)) this.direct = reply.url;
  }

  private expectSame(reply: Reply): void {
    const { total } = sizesOf(reply.response.headers);
    const sameSize = total === undefined || total === this.size;
    if (sameSize && this.options.tags.accept(reply)) return;
    throw this.changed(sameSize ? 'its entity tag is another' : `${total} bytes`);
  }

  private changed(what: string): PupilError {
    return new PupilError(
      'source',
      `${shownUrl(this.options.url)}: expected the file of ${this.size} bytes that was opened, it is another one now (${what})`,
      'The file changed on the server while it was read, or the server serves something in its place (a page, a Git-LFS pointer): start again.',
    );
  }

  /**
   * Puts a part's body into `bytes`, which begins at `at` of the file.
   * @returns how many bytes came and are right, and why not all did.
   */
  private async fill(reply: Reply, bytes: Uint8Array, at: number): Promise<{ count: number; broken?: Transient }> {
    const { headers } = reply.response;
    const { start, end = at + bytes.byteLength } = sizesOf(headers);
    if (start !== undefined && (start !== at || end > at + bytes.byteLength || end <= at)) {
      return none(`bytes ${start}..${end} where ${at}..${at + bytes.byteLength} were asked for`);
    }
    if (isEncoded(headers)) return none('a compressed part, whose place in the file is unknown');
    const promised = end - at;
    let count = 0;
    let tooLong = false;
    try {
      await reply.read((part) => {
        tooLong = count + part.byteLength > promised;
        if (tooLong) throw new Transient(`more than the ${promised} bytes that were promised`);
        bytes.set(part, count);
        count += part.byteLength;
        this.options.onBytes?.(part.byteLength);
      });
      if (count === promised) return { count };
      return { count, broken: new Transient(`${count} bytes where ${promised} were promised`) };
    } catch (error) {
      if (!(error instanceof Transient)) throw error;
      if (!tooLong) return { count, broken: error };
      // More than promised: then nothing tells which of it is right.
      this.options.onBytes?.(-count);
      return { count: 0, broken: error };
    }
  }
}

const none = (why: string): { count: number; broken: Transient } => ({ count: 0, broken: new Transient(why) });

const isElsewhere = (reply: Reply, url: string): boolean => new URL(reply.url).origin !== new URL(url).origin;

/**
 * A refusal of the server that a redirect led to is of the redirect's signature, which may have run out: another try with a
 * new one tells. @throws Transient
 */
export function expectNotTurnedAway(reply: Reply, asked: string, url = asked): void {
  const { status } = reply.response;
  if (status < 400 || status === 416 || (asked === url && !isElsewhere(reply, url))) return;
  throw new Transient(`status ${status} from ${shownUrl(reply.url)}, where it was led to`);
}

/** Development servers answer a missing file with their start page; networks answer everything with theirs. */
export function isPage(reply: Reply, path: string): boolean {
  return (reply.response.headers.get('content-type') ?? '').includes('text/html') && !/\.html?$/.test(path);
}

export function pageInstead(reply: Reply): PupilError {
  return new PupilError(
    'source',
    `${shownUrl(reply.url)}: expected the file, got a web page`,
    'The network may want you to sign in first, or the address is not that of a model hub: open it in a browser and look.',
  );
}

export function withoutRanges(reply: Reply, size: number): PupilError {
  return new PupilError(
    'source',
    `${shownUrl(reply.url)}: expected a server with byte ranges, this one sends all ${size} bytes at once`,
    'Serve the folder with a server that answers Range requests with status 206.',
  );
}
