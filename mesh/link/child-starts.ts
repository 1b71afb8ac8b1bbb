// Whether the process that presents itself as a child may have that child's link. A server asks its store. A relay keeps
// the link of a process that still answers, and has the server told of the other one.
import { IsthmusError } from '../../contract/errors.ts';
import { cloned, type ToldStart } from '../starts.ts';
import type { Trust } from '../trust.ts';
import type { LinkSession } from './session.ts';

interface ChildLinks {
  readonly trust: Trust;
  /** How long a process may take to answer: as long as a fast link may be silent. */
  readonly answerMs: number;
  readonly live: (node: string) => LinkSession | undefined;
}

/** NODE_CLONED when another process acts as this child. */
export async function admitChildStart({ trust, answerMs, live }: ChildLinks, told: ToldStart): Promise<void> {
  const { peer, start, address } = told;
  const session = live(peer.node);
  const before = session?.facts.start;
  if (session !== undefined && before !== undefined && start !== undefined && before.nonces[0] !== start.nonces[0]) {
    if (!(await session.answers(answerMs))) {
      session.end(new IsthmusError('LINK_TIMEOUT', `${peer.node} has started again and its earlier process is silent`));
    } else if (trust.starts === undefined) {
      const [nonce] = start.nonces;
      const denied = { node: peer.node, nonce, hostname: start.hostname, address: address ?? '' };
      const where = `${start.hostname} (${denied.address})`;
      const error = cloned(
        peer.node,
        `another process of ${peer.node}, on ${before.hostname}, is linked; not ${where}`,
      );
      trust.denials.recordDeniedStart(error, denied);
      throw error;
    }
  }
  await trust.starts?.admit(told);
}
