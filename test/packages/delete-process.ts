// A process that delete.test.ts kills: deletes the version in the feed of a data folder, and pushes the next one.
import { Readable } from 'node:stream';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createFeed } from '../../server/packages/feed.ts';
import { openStore } from '../../server/store/store.ts';
import { LiveTopology } from '../../server/topology/live.ts';
import '../support/keep-compiled.ts';
import { tarGz } from './craft.ts';

const [dataDir = ''] = process.argv.slice(2);
const noTokens = () => {
  throw new Error('no download token is signed or read here');
};
const store = await openStore({ dataDir, log: silentLogger() });
const feed = await createFeed({
  ...{ store, topology: new LiveTopology(), dataDir, log: silentLogger() },
  ...{ signDownloadToken: noTokens, verifyDownloadToken: noTokens },
});
// First: beside the version before it, the next one would have work on a delta begin.
await feed.delete('web', '1.0', { actor: 'key-1' });
const next = tarGz([{ name: 'app.js', content: 'the next version' }]);
await feed.push(Readable.from([next]), { id: 'web', version: '2.0' }, 'key-1');
await feed.stop();
await store.close();
