// Makes the API listen.
import { lookup } from 'node:dns/promises';
import { IsthmusError } from '../../../contract/errors.ts';
import { BACKLOG, cannotListen } from '../../../lib/net/listen.ts';
import { formatHostPort, type HostPort } from '../../../lib/net/host-port.ts';
import type { ApiInstance } from '../context.ts';

/** Listens; returns the address as host:port. Throws as `listenAt` does. */
export async function listen(app: ApiInstance, { host, port }: HostPort): Promise<string> {
  try {
    // Fastify opens further servers for the name `localhost`, and nothing would limit strangers there.
    const { address } = await lookup(host);
    await app.listen({ host: address, port, backlog: BACKLOG });
  } catch (thrown) {
    throw cannotListen(thrown, host, port, 'api.listen');
  }
  const bound = app.server.address();
  if (bound === null || typeof bound === 'string') throw new IsthmusError('INTERNAL', 'the API has no address');
  return formatHostPort({ host: bound.address, port: bound.port });
}
