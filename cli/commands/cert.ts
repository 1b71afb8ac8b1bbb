// `isthmus cert …`: the certificate of this machine's node, the mesh's authority, and how long everyone's last.
import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { IdentityStore, type NodeIdentity } from '../../certs/identity.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { MeshNode } from '../api-types.ts';
import { examples, type Cli } from '../cli.ts';
import { renderRecord, renderTable } from '../render/table.ts';
import { daysUntil, moment } from '../render/units.ts';
import { say } from '../terminal.ts';

async function localIdentity(dataDir: string): Promise<NodeIdentity> {
  return (await IdentityStore.open(resolve(dataDir))).current();
}

/** Shows the certificate in a data folder; throws SERVER_CLOCK_SKEW when it is not valid at this machine's time. */
async function showLocal(cli: Cli, dataDir: string): Promise<void> {
  const identity = await localIdentity(dataDir);
  const certificate = new X509Certificate(identity.certificatePem);
  const shown = {
    node: identity.node,
    role: identity.role,
    site: identity.site,
    mesh: identity.meshId,
    'valid from': moment(certificate.validFrom),
    'valid until': moment(certificate.validTo),
    'local time': moment(Date.now()),
    days: daysUntil(certificate.validTo),
    serial: certificate.serialNumber,
    authority: new X509Certificate(identity.authorityPem).fingerprint256,
  };
  cli.show(shown, () => renderRecord(shown));
  const now = Date.now();
  if (now > Date.parse(certificate.validTo)) {
    throw new IsthmusError('TASK_NOT_SUCCESSFUL', `the certificate of ${identity.node} has ended`, {
      remedy: 'Check this clock; if it is right, make a token and join again.',
    });
  }
  if (now < Date.parse(certificate.validFrom)) {
    throw new IsthmusError('SERVER_CLOCK_SKEW', `the certificate of ${identity.node} is not valid yet by this clock`);
  }
}

async function showAll(cli: Cli): Promise<void> {
  const nodes = await (await cli.client()).list<MeshNode>('nodes');
  const rows = nodes.map((node) => [
    node.id,
    node.role,
    node.state,
    moment(node.certificateNotAfter),
    daysUntil(node.certificateNotAfter),
  ]);
  cli.show(nodes, () => renderTable(['node', 'role', 'state', 'certificate ends', 'days'], rows));
}

/** Adds `cert`. */
export function addCertCommands(program: Command, cli: Cli): void {
  const group = program.command('cert').description('certificates');
  examples(group, 'isthmus cert show', 'isthmus cert show --data /var/lib/isthmus/relay');

  const show = group
    .command('show')
    .description('how long the certificates of all nodes last; with --data, the one in a data folder')
    .option('--data <folder>', "a part's data folder on this machine");
  examples(show, 'isthmus cert show', 'isthmus cert show --data /var/lib/isthmus/relay').action(
    (options: { data?: string }) => (options.data === undefined ? showAll(cli) : showLocal(cli, options.data)),
  );

  const authority = group
    .command('authority')
    .description("print the mesh's authority certificate, as --ca wants it")
    .requiredOption('--data <folder>', "any part's data folder on this machine");
  examples(authority, 'isthmus cert authority --data /var/lib/isthmus/server > authority.pem').action(
    async (options: { data: string }) => {
      say(cli.terminal, (await localIdentity(options.data)).authorityPem.trimEnd());
    },
  );
}
