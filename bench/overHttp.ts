// overHttp.ts: files behind a server of this machine, in ranges, for measuring a download: the network's part is loopback.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { OpenFile } from '../src/formats/byteSource';
import { openHttpRoot } from '../src/sources/http';

/** The files as an http root reads them; `close` ends the server. */
export async function overHttp(open: OpenFile): Promise<{ open: OpenFile; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    void (async () => {
      const source = await open(decodeURIComponent((request.url ?? '/').slice(1)));
      if (source === undefined) return response.writeHead(404).end();
      const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
      const start = Number(first);
      const end = Math.min(source.size, last === '' ? source.size : Number(last) + 1);
      const bytes = await source.read(start, end);
      const range = { 'Content-Range': `bytes ${start}-${end - 1}/${source.size}` };
      return response.writeHead(206, { 'Content-Length': bytes.byteLength, ...range }).end(bytes);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const root = openHttpRoot(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { open: root.open, close };
}
