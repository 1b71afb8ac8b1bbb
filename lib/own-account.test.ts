// The account of this process, also under an id that has none.
import { execFileSync } from 'node:child_process';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lacks } from '../test/support/needs.ts';
import { ownAccount } from './own-account.ts';

it('is the one of the system', () => {
  const { username: name, homedir: home, uid, gid } = userInfo();
  expect(ownAccount()).toEqual({ name, home, uid, gid });
});

it.skipIf(lacks('root'))('is an id alone where the system knows no account', () => {
  const script = `process.setgid(54321); process.setuid(54321);
    import(process.argv[1]).then(({ ownAccount }) => console.log(JSON.stringify(ownAccount())));`;
  const path = join(import.meta.dirname, 'own-account.ts');
  const said = execFileSync(process.execPath, ['-e', script, path], { env: {}, encoding: 'utf8' });
  expect(JSON.parse(said)).toEqual({ name: '54321', uid: 54_321, gid: 54_321, home: '/' });
});
