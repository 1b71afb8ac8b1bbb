// Child process of data-lock.test.ts: takes and releases the lock of a folder, one command per line.
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { IsthmusError } from '../../contract/errors.ts';
import { lockDataDir, type DataLock } from '../../lib/files/data-lock.ts';

let lock: DataLock | undefined;
writeSync(1, 'ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'release') {
    lock?.release();
    writeSync(1, 'released\n');
    continue;
  }
  try {
    lock = lockDataDir(line);
    writeSync(1, 'taken\n');
  } catch (thrown) {
    writeSync(1, `${IsthmusError.from(thrown).code} ${IsthmusError.from(thrown).message}\n`);
  }
}
