// The account that this process runs under. A container may run it under an id that has none.
import { userInfo } from 'node:os';

export interface OwnAccount {
  /** The id, where it has no name. */
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** The account of this process, by its effective ids. */
export function ownAccount(): OwnAccount {
  const [uid, gid] = [process.geteuid!(), process.getegid!()];
  try {
    const { username: name, homedir: home } = userInfo();
    return { name, uid, gid, home };
  } catch {
    return { name: String(uid), uid, gid, home: '/' };
  }
}
