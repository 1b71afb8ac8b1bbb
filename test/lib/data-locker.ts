// Child process of data-lock.test.ts: locks and unlocks a folder, one command per line.
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { IsthmusError } from '../../contract/errors.ts';
import { lockDataDir, type DataLock } from '../../lib/files/data-lock.ts';

let lock: DataLock | undefined;
writeSync(1, 'ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'unlock') {
    lock?.unlock();
    writeSync(1, 'unlocked\n');
    continue;
  }
  try {
    lock = lockDataDir(line);
    writeSync(1, 'taken\n');
  } catch (thrown) {
    writeSync(1, `${IsthmusError.from(thrown).code} ${IsthmusError.from(thrown).message}\n`);
  }
}
