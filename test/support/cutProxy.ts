// cutProxy.ts: a server of TCP between a client and another server, which cuts a connection after so many bytes of one
// direction, as often as it is told to. Tests only.
import { connect, createServer, type Socket } from 'node:net';

export interface CutProxy {
  url: string;
  /** Cuts to come, one a connection that gets so far. */
  cuts: { way: 'up' | 'down'; afterBytes: number }[];
  close(): Promise<void>;
}

/** @param target `http://host:port` */
export async function startCutProxy(target: string): Promise<CutProxy> {
  const { hostname, port } = new URL(target);
  const cuts: CutProxy['cuts'] = [];
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const far = connect(Number(port), hostname);
    for (const socket of [client, far]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        far.destroy();
      });
    }
    const pass = (from: Socket, to: Socket, way: 'up' | 'down'): void => {
      let passed = 0;
      from.on('data', (bytes: Buffer) => {
        passed += bytes.byteLength;
        const cut = cuts.findIndex((one) => one.way === way && passed > one.afterBytes);
        if (cut >= 0) {
          cuts.splice(cut, 1);
          from.destroy();
          return;
        }
        if (!to.write(bytes)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
    };
    pass(client, far, 'up');
    pass(far, client, 'down');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    cuts,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
