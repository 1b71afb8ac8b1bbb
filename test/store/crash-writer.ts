// A process that crash.test.ts starts and kills: commits log lines as fast as it can, and prints each acknowledgement
// after its commit.
import { writeSync } from 'node:fs';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openStore } from '../../server/store/store.ts';
import { addTicket, lines } from './samples.ts';
import '../support/keep-compiled.ts';

const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('usage: crash-writer <data folder>');
const store = await openStore({ dataDir, log: silentLogger() });
const { fence, ticket } = await addTicket(store);
writeSync(1, `${ticket} ${fence.task}\n`);
for (let line = 1; ; line += 3) {
  const stored = await store.transaction(async (tx) => {
    await tx.events.append({ actor: 'test', type: 'task.cancel-requested', subject: fence.task, data: {} });
    return tx.logLines.append(fence, ticket, line, lines(line, line + 2));
  });
  writeSync(1, `${stored}\n`);
}
