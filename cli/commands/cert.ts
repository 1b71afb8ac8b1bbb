// `isthmus cert …`: the certificate in a data folder, the mesh's authority, and when all nodes' certificates expire.
import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { authorityPin } from '../../certs/authority-signature.ts';
import { IDENTITY_SECRETS, IdentityStore, type NodeIdentity } from '../../certs/identity.ts';
import type { Node } from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { asOwnerOf } from '../../lib/files/as-owner.ts';
import { checkDataDir } from '../../lib/files/private.ts';
import { examples, type Cli } from '../cli.ts';
import { renderRecord, renderTable } from '../render/table.ts';
import { daysUntil, moment } from '../render/units.ts';

async function localIdentity(folder: string): Promise<NodeIdentity> {
  const dataDir = resolve(folder);
  return asOwnerOf(dataDir, async () => {
    checkDataDir(dataDir, IDENTITY_SECRETS);
    return (await IdentityStore.open(dataDir)).current();
  });
}

/** Shows the certificate in a data folder; throws SERVER_CLOCK_SKEW when it is not valid at this machine's time. */
async function showLocal(cli: Cli, dataDir: string): Promise<void> {
  const identity = await localIdentity(dataDir);
  const certificate = new X509Certificate(identity.certificatePem);
  const now = Date.now();
  const { node, role, site, meshId } = identity;
  const shown = {
    ...{ node, role, site, meshId },
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
    localTime: now,
    serial: certificate.serialNumber,
    pin: authorityPin(identity.authorityPem),
  };
  cli.show(shown, () =>
    renderRecord({
      ...{ node, role, site, mesh: meshId },
      'valid from': moment(shown.notBefore),
      'valid until': moment(shown.notAfter),
      'local time': moment(now),
      days: daysUntil(shown.notAfter),
      serial: shown.serial,
      'authority pin': shown.pin,
    }),
  );
  if (now > shown.notAfter) {
    throw new IsthmusError('CHECK_FAILED', `the certificate of ${identity.node} has expired`, {
      remedy: 'Check this clock; if it is right, create a token and join again.',
    });
  }
  if (now < shown.notBefore) {
    throw new IsthmusError('SERVER_CLOCK_SKEW', `the certificate of ${identity.node} is not valid yet by this clock`);
  }
}

async function showAll(cli: Cli): Promise<void> {
  const nodes = await (await cli.client()).list<Node>('nodes');
  const rows = nodes.map((node) => [
    node.id,
    node.role,
    node.state,
    moment(node.certificateNotAfter),
    daysUntil(node.certificateNotAfter),
  ]);
  cli.show(nodes, () => renderTable(['node', 'role', 'state', 'certificate expires', 'days'], rows));
}

/** Adds `cert`. */
export function addCertCommands(program: Command, cli: Cli): void {
  const group = program.command('cert').description('certificates');
  examples(group, 'isthmus cert show', 'isthmus cert show --data /var/lib/isthmus/relay');

  const show = group
    .command('show')
    .description('when the certificates of all nodes expire; with --data, the certificate in a data folder')
    .option('--data <folder>', "a component's data folder on this machine");
  examples(show, 'isthmus cert show', 'isthmus cert show --data /var/lib/isthmus/relay').action(
    (options: { data?: string }) => (options.data === undefined ? showAll(cli) : showLocal(cli, options.data)),
  );

  const authority = group
    .command('authority')
    .description("print the mesh's authority certificate, for --ca")
    .requiredOption('--data <folder>', "any component's data folder on this machine");
  examples(authority, 'isthmus cert authority --data /var/lib/isthmus/server > authority.pem').action(
    async (options: { data: string }) => {
      const { authorityPem } = await localIdentity(options.data);
      cli.show({ pin: authorityPin(authorityPem), authorityPem }, () => authorityPem.trimEnd());
    },
  );
}
