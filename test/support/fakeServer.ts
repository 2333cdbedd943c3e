// fakeServer.ts: the fake API over real HTTP, on localhost: sockets break, bodies stall, fifty megabytes come. Tests only.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FakeApi, Reply } from './fakeApi';

export interface FakeServer {
  /** The base URL to be given to a teacher. */
  base: string;
  /** Of every request. */
  headers: IncomingHttpHeaders[];
  paths: string[];
  close(): Promise<void>;
}

/** Serves the fake API. Its milliseconds pass `speed` times as fast. */
export async function startFakeServer(api: FakeApi, speed = 1): Promise<FakeServer> {
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, Math.min(ms, 1e9) / speed).unref());
  const headers: IncomingHttpHeaders[] = [];
  const paths: string[] = [];

  const send = async (reply: Reply, response: ServerResponse): Promise<void> => {
    await wait(reply.afterMs);
    if (reply.breaks === 'headers') return void response.socket?.destroy();
    response.writeHead(reply.status, reply.headers);
    response.flushHeaders();
    for (const { afterMs, bytes } of reply.body) {
      if (afterMs > 0) await wait(afterMs);
      if (response.destroyed) return;
      if (!response.write(bytes)) {
        // A client that has had enough lets nothing drain any more.
        await Promise.race([
          new Promise((resolve) => response.once('drain', resolve)),
          new Promise((resolve) => response.once('close', resolve)),
        ]);
      }
    }
    if (reply.breaks === 'body') return void response.socket?.destroy();
    await new Promise<void>((resolve) => response.end(resolve));
    api.onDelivered(reply);
  };

  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    headers.push(request.headers);
    paths.push(request.url ?? '');
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = Buffer.concat(pieces).toString('utf8');
      void send(api.reply(body, new Headers(request.headers as Record<string, string>)), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    headers,
    paths,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
