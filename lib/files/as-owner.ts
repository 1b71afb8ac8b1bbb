// Root works in a data folder as the account that owns it. That account may have put a link, or be about to, wherever
// root would read or write; with its own rights such a link leads nowhere that it could not go itself. What is created
// is the account's, too, so that its component can use it.
import { statSync } from 'node:fs';
import { ownAccount } from '../own-account.ts';

/** Runs `work` with the ids of the account that owns `folder`, where this process is root's and the folder is not. */
export async function asOwnerOf<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
  const self = ownAccount();
  const owner = self.uid === 0 ? statSync(folder, { throwIfNoEntry: false }) : undefined;
  if (owner === undefined || owner.uid === 0) return work();
  const groups = process.getgroups!();
  process.setgroups!([owner.gid]);
  process.setegid!(owner.gid);
  process.seteuid!(owner.uid);
  try {
    return await work();
  } finally {
    process.seteuid!(self.uid);
    process.setegid!(self.gid);
    process.setgroups!(groups);
  }
}
