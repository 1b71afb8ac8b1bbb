// The service `echo` that every node serves: one line of JSON about the node, then every byte back. Ping and trace use
// it.
import { finished } from 'node:stream/promises';
import { IsthmusError } from '../contract/errors.ts';
import { ECHO_SERVICE } from './services.ts';
import type { DialOptions, Mesh, MeshStream } from './types.ts';
import { closeWithin } from '../lib/async/deadline.ts';

/** What a node tells about itself on `echo`. */
export interface EchoFacts {
  readonly node: string;
  readonly softwareVersion: string;
  readonly certificateNotAfterMs: number;
}

/** An honest line is shorter. */
const MAX_LINE_BYTES = 4096;

export function serveEcho(stream: MeshStream, facts: () => EchoFacts): void {
  stream.on('error', () => undefined);
  stream.write(`${JSON.stringify(facts())}\n`);
  stream.pipe(stream);
}

/** One hop of a trace. */
export interface TraceHop {
  readonly node: string;
  readonly roundTripMs: number | undefined;
  readonly softwareVersion: string | undefined;
  readonly certificateNotAfterMs: number | undefined;
  readonly error: IsthmusError | undefined;
}

/** Measures one round trip to the server through one parent whose link is up. */
export async function pingThrough(
  mesh: Pick<Mesh, 'dial' | 'links'>,
  parent: string,
  options: Pick<DialOptions, 'deadlineMs' | 'signal'>,
): Promise<{ facts: EchoFacts; roundTripMs: number; direct: boolean }> {
  const direct = mesh.links().some(({ peer, peerRole }) => peer === parent && peerRole === 'server');
  const target = direct ? { node: parent, path: [] } : { node: 'server', path: [parent] };
  const { facts, roundTripsMs } = await ping(mesh, { ...target, ...options });
  return { facts, roundTripMs: roundTripsMs[0] ?? 0, direct };
}

/** Opens an echo tunnel and measures `count` round trips through the open tunnel. */
export async function ping(
  mesh: Pick<Mesh, 'dial'>,
  target: Pick<DialOptions, 'node' | 'path' | 'deadlineMs' | 'signal'>,
  count = 1,
): Promise<{ facts: EchoFacts; roundTripsMs: number[] }> {
  const stream = await mesh.dial({ ...target, service: ECHO_SERVICE, class: 'control' });
  closeWithin(stream, target.deadlineMs);
  try {
    const lines = stream[Symbol.asyncIterator]();
    const facts = parseFacts(await readLine(lines, target.node));
    const roundTripsMs: number[] = [];
    for (let i = 0; i < count; i += 1) {
      const started = performance.now();
      stream.write(`${i}\n`);
      await readLine(lines, target.node);
      roundTripsMs.push(performance.now() - started);
    }
    return { facts, roundTripsMs };
  } finally {
    stream.end();
    stream.resume();
    await finished(stream).catch(() => undefined);
    stream.destroy();
  }
}

/** Pings each node of a path in order, the destination last; stops after the first that fails. */
export async function trace(
  mesh: Pick<Mesh, 'dial'>,
  target: { node: string; path: readonly string[]; deadlineMs: number },
): Promise<TraceHop[]> {
  const hops: TraceHop[] = [];
  const nodes = [...target.path, target.node];
  for (const [index, node] of nodes.entries()) {
    const hop = await ping(mesh, { node, path: nodes.slice(0, index), deadlineMs: target.deadlineMs }, 3).then(
      ({ facts, roundTripsMs }): TraceHop => ({
        node: facts.node,
        roundTripMs: Math.min(...roundTripsMs),
        softwareVersion: facts.softwareVersion,
        certificateNotAfterMs: facts.certificateNotAfterMs,
        error: undefined,
      }),
      (thrown: unknown): TraceHop => ({
        node,
        roundTripMs: undefined,
        softwareVersion: undefined,
        certificateNotAfterMs: undefined,
        error: IsthmusError.from(thrown, 'UNREACHABLE'),
      }),
    );
    hops.push(hop);
    if (hop.error !== undefined) break;
  }
  return hops;
}

async function readLine(chunks: AsyncIterator<Buffer>, node: string): Promise<string> {
  let line = '';
  while (!line.endsWith('\n')) {
    const next = await chunks.next().catch((thrown: unknown) => {
      throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: node });
    });
    if (next.done === true) throw new IsthmusError('UNREACHABLE', `${node} closed the echo tunnel`);
    line += next.value.toString('utf8');
    if (line.length > MAX_LINE_BYTES) throw new IsthmusError('PROTOCOL', `${node} sent more than a line on echo`);
  }
  return line;
}

function parseFacts(line: string): EchoFacts {
  try {
    const facts = JSON.parse(line) as Partial<EchoFacts>;
    const { node, softwareVersion, certificateNotAfterMs } = facts;
    if (typeof node === 'string' && typeof softwareVersion === 'string' && typeof certificateNotAfterMs === 'number') {
      return { node, softwareVersion, certificateNotAfterMs };
    }
  } catch {
    // Falls through to the error for any malformed answer.
  }
  throw new IsthmusError('PROTOCOL', 'the answer on echo is malformed');
}
