// A node of a measured mesh, with the service `bench`, whose first line says who sends how much.
//   {"send": N}     the far end sends N bytes and ends
//   {"receive": N}  the far end reads N bytes and answers `ok`
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { ping } from '../../mesh/echo.ts';
import { createMesh } from '../../mesh/mesh.ts';
import type { ServiceRule } from '../../mesh/services.ts';
import type { Mesh, MeshConfig, MeshStream } from '../../mesh/types.ts';
import { answer, usage } from '../support/child.ts';

interface Where {
  readonly node: string;
  readonly path: readonly string[];
}
interface Transfer extends Where {
  readonly bytes: number;
}

const block = Buffer.alloc(256 * 1024, 0x5a);
let mesh: Mesh | undefined;
const stalled: MeshStream[] = [];

function running(): Mesh {
  if (mesh === undefined) throw new Error('not started');
  return mesh;
}

async function send(stream: MeshStream, bytes: number): Promise<void> {
  const closed = new Promise<void>((resolve) => void stream.once('close', resolve));
  for (let left = bytes; left > 0 && !stream.destroyed; left -= block.length) {
    if (stream.write(left < block.length ? block.subarray(0, left) : block)) continue;
    await Promise.race([closed, new Promise<void>((resolve) => void stream.once('drain', resolve))]);
  }
}

/** Reads until `bytes` have arrived. */
function receive(stream: MeshStream, bytes: number, already: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = bytes - already;
    const take = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left <= 0) resolve();
    };
    if (left <= 0) return resolve();
    stream.on('data', take);
    stream.once('close', () => reject(new Error(`the stream closed ${left} bytes early`)));
  });
}

/** The one service of the bench. */
const bench: ServiceRule = { openedBy: ['server'], fromBelowTo: [] };

function serve(stream: MeshStream): void {
  stream.on('error', () => undefined);
  stream.once('data', (first: Buffer) => {
    const end = first.indexOf(10);
    const order = JSON.parse(first.toString('utf8', 0, end)) as { send?: number; receive?: number };
    if (order.send !== undefined) {
      void send(stream, order.send).then(() => stream.end());
    } else {
      void receive(stream, order.receive ?? 0, first.length - end - 1).then(
        () => stream.end('ok'),
        () => stream.destroy(),
      );
    }
  });
}

async function open({ node, path }: Where, order: object): Promise<MeshStream> {
  const stream = await running().dial({ node, path, service: 'bench', class: 'bulk', deadlineMs: 30_000 });
  stream.on('error', () => undefined);
  stream.write(`${JSON.stringify(order)}\n`);
  return stream;
}

answer({
  async start({ dataDir, config, relaying }: { dataDir: string; config: MeshConfig; relaying: boolean }) {
    const identity = await IdentityStore.open(dataDir);
    const { authorityPem, meshId } = identity.current();
    const revocations = await RevocationList.open(dataDir, authorityPem, meshId);
    mesh = await createMesh(config, { identity, revocations, relaying, services: { bench }, log: silentLogger() });
    mesh.listen('bench', serve);
    return mesh.address;
  },
  linksUp: () =>
    running().links().length > 0 &&
    running()
      .links()
      .every((link) => link.up),
  /** Seconds until `bytes` from the far end have arrived. */
  async download({ bytes, ...where }: Transfer) {
    const stream = await open(where, { send: bytes });
    const began = performance.now();
    await receive(stream, bytes, 0);
    const seconds = (performance.now() - began) / 1000;
    stream.destroy();
    return seconds;
  },
  /** Seconds until the far end has read `bytes`. */
  async upload({ bytes, ...where }: Transfer) {
    const stream = await open(where, { receive: bytes });
    const began = performance.now();
    const answered = receive(stream, 2, 0);
    await send(stream, bytes);
    await answered;
    const seconds = (performance.now() - began) / 1000;
    stream.destroy();
    return seconds;
  },
  /** Requests `bytes` and reads none of them. */
  async stall({ bytes, ...where }: Transfer) {
    const stream = await open(where, { send: bytes });
    stream.pause();
    stalled.push(stream);
  },
  unstall: () => stalled.splice(0).forEach((stream) => stream.destroy()),
  async ping({ node, path, count }: Where & { count: number }) {
    return (await ping(running(), { node, path, deadlineMs: 60_000 }, count)).roundTripsMs;
  },
  usage,
});
