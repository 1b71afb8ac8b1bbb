// Makes the API listen.
import { IsthmusError } from '../../contract/errors.ts';
import { cannotListen } from '../../lib/net/listen.ts';
import { formatHostPort, type HostPort } from '../../lib/net/host-port.ts';
import type { ApiInstance } from './context.ts';

/** Listens; returns the address as host:port. Throws as `listenAt` does. */
export async function listen(app: ApiInstance, { host, port }: HostPort): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (thrown) {
    throw cannotListen(thrown, host, port, 'api.listen');
  }
  const bound = app.server.address();
  if (bound === null || typeof bound === 'string') throw new IsthmusError('INTERNAL', 'the API has no address');
  return formatHostPort({ host: bound.address, port: bound.port });
}
