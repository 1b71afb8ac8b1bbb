// Looks up users and groups of the machine by name.
import { readFile } from 'node:fs/promises';
import { runProgram } from './programs.ts';

export interface Account {
  readonly uid: number;
  /** Of its primary group. */
  readonly gid: number;
  readonly home: string;
}

/** A user by name; undefined when the machine knows none. */
export async function findUser(name: string): Promise<Account | undefined> {
  const fields = await entryOf('passwd', name);
  return fields && { uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5] ?? '/' };
}

/** The id of a group by name; undefined when the machine knows none. */
export async function findGroup(name: string): Promise<number | undefined> {
  const fields = await entryOf('group', name);
  return fields && Number(fields[2]);
}

/** Asks getent where it exists (it also knows directory services), else reads the file. */
async function entryOf(database: 'passwd' | 'group', name: string): Promise<readonly string[] | undefined> {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) return undefined;
  const lines = await runProgram('getent', database, name).catch(() => readFile(`/etc/${database}`, 'utf8'));
  return lines
    .split('\n')
    .map((line) => line.split(':'))
    .find(([entry]) => entry === name);
}
