// After every test file: no socket, listener or child process of this worker may be left. Whoever opened one closes it.
import { afterAll } from 'vitest';
import { waitFor } from './wait.ts';

const leaky = new Set(['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap', 'UDPWrap', 'ProcessWrap', 'ChildProcess']);

afterAll(async () => {
  const left = (): string[] => process.getActiveResourcesInfo().filter((kind) => leaky.has(kind));
  await waitFor(() => left().length === 0, { limitMs: 30_000, everyMs: 20 }).catch(() => {
    throw new Error(`this test file leaves open: ${left().join(', ')}`);
  });
});
