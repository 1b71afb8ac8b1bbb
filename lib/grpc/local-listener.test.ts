// The local listener of grpc-js: one for the process, whatever happened before it was open.
import { Server } from 'node:net';
import { expect, it, vi } from 'vitest';
import { localTarget } from './local-listener.ts';

it('is opened by the next call after a time without file descriptors', async () => {
  const error = Object.assign(new Error('listen EMFILE: too many open files'), { code: 'EMFILE' });
  vi.spyOn(Server.prototype, 'listen').mockImplementationOnce(function (this: Server) {
    process.nextTick(() => this.emit('error', error));
    return this;
  });
  await expect(localTarget()).rejects.toThrow('EMFILE');
  const target = await localTarget();
  await expect(localTarget()).resolves.toBe(target);
});
