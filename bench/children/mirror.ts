// A mirror that serves what lies in its cache, at its open port on the loopback.
import type { AddressInfo } from 'node:net';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { start } from '../../mirror/start.ts';
import { answer } from '../support/child.ts';

interface Start {
  readonly dataDir: string;
  readonly feedListen: string;
}

answer({
  async start({ dataDir, feedListen }: Start): Promise<AddressInfo['port']> {
    // No parent answers there: what is in the cache needs none.
    const parents = [{ node: 'server', address: '127.0.0.1:9' }];
    const { addresses } = await start({ dataDir, parents, feedListen, feedLoopback: true }, { log: silentLogger() });
    return Number(new URL(addresses.feed!).port);
  },
});
