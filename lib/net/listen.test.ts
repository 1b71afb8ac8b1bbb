import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lacks } from '../../test/support/needs.ts';
import { listenAt } from './listen.ts';

async function failing(host: string, port: number): Promise<unknown> {
  const server = createServer();
  onTestFinished(() => void server.close());
  const thrown: unknown = await listenAt(server, host, port, 'mesh.listen').catch((error: unknown) => error);
  expect(server.listening).toBe(false);
  return thrown;
}

it('listens at both families, or at the one that there is', async () => {
  const server = createServer();
  onTestFinished(() => void server.close());
  const { port } = await listenAt(server, '::', 0);
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  client.destroy();
  const withoutIpv6 = createServer();
  onTestFinished(() => void withoutIpv6.close());
  const listen = withoutIpv6.listen.bind(withoutIpv6) as (options: { host: string }, done: () => void) => Server;
  withoutIpv6.listen = ((options: { host: string }, done: () => void) => {
    if (options.host !== '::') return listen(options, done);
    const error = Object.assign(new Error('listen'), { code: 'EAFNOSUPPORT' });
    setImmediate(() => withoutIpv6.emit('error', error));
    return withoutIpv6;
  }) as typeof withoutIpv6.listen;
  expect(await listenAt(withoutIpv6, '::', 0)).toMatchObject({ address: '0.0.0.0', family: 'IPv4' });
});

describe('a port that cannot be opened', () => {
  it('is in use', async () => {
    const taken = createServer();
    onTestFinished(() => void taken.close());
    const { port } = await listenAt(taken, '127.0.0.1', 0);
    expect(await failing('127.0.0.1', port)).toMatchObject({
      code: 'PORT_IN_USE',
      field: 'mesh.listen',
      message: `cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)`,
    });
  });

  it.each([
    ['192.0.2.1', '192.0.2.1:8444', 'EADDRNOTAVAIL'],
    ['2001:db8::1', '[2001:db8::1]:8444', 'E[A-Z]+'],
    ['no-such-host.invalid', 'no-such-host.invalid:8444', 'ENOTFOUND|EAI_AGAIN'],
  ])('is at an address of another machine: %s', async (host, address, errno) => {
    const thrown = await failing(host, 8444);
    expect(thrown).toMatchObject({
      code: 'ADDRESS_NOT_LOCAL',
      remedy: expect.stringContaining('of this machine') as string,
    });
    expect((thrown as Error).message).toContain(`cannot listen on ${address}: `);
    expect((thrown as Error).message).toMatch(new RegExp(`\\((?:${errno})\\)$`));
  });

  it.skipIf(lacks('linux', 'root'))('is for another account', async () => {
    process.seteuid!(65_534);
    try {
      expect(await failing('127.0.0.1', 81)).toMatchObject({
        code: 'PORT_FORBIDDEN',
        message: 'cannot listen on 127.0.0.1:81: this account may not listen on that port (EACCES)',
      });
    } finally {
      process.seteuid!(0);
    }
  });
});
