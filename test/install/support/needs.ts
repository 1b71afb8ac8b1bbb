// What the tests of this folder need from the machine.
import { inject } from 'vitest';
import { lacks } from '../../support/needs.ts';

/** As `lacks`, of everything that a machine is made with. */
export function lacksTools(): boolean {
  return lacks('root', 'namespaces', 'iproute', 'gcc', 'tun', 'debootstrap', 'nspawn', 'setpriv');
}

/**
 * For `describe.skipIf(cannotBoot())`. A missing tool fails where ISTHMUS_NO_SKIP is set; a kernel or a container in
 * which no systemd boots is only said, because nothing can be installed against it.
 */
export function cannotBoot(): boolean {
  if (lacksTools()) return true;
  const failure = inject('bootFailure');
  if (failure === '') return false;
  process.stderr.write(`\nSKIPPED, ALSO WHERE NOTHING MAY BE SKIPPED: no machine boots here. ${failure}\n`);
  return true;
}
