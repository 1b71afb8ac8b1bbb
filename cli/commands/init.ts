// `isthmus init`: creates a mesh with its authority, master key and first API key.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { isEveryAddress, requireHostPort } from '../../lib/net/host-port.ts';
import { isLoopback } from '../../lib/net/network-address.ts';
import { examples, type Cli } from '../cli.ts';
import { contextFileOf, putAside, writeContext } from '../client/context.ts';
import { shellWord } from '../render/shell.ts';
import { startCommand } from '../render/next-command.ts';

interface InitOptions {
  readonly data: string;
  readonly meshId?: string;
  readonly node?: string;
  readonly meshListen?: string;
  readonly meshAddress?: string;
  readonly apiListen?: string;
  readonly apiUrl?: string;
}

/** The URL of an API that listens there, from this machine: on loopback it speaks plain HTTP. */
function localUrl(listen: string): string {
  const { host, port } = requireHostPort(listen, 'apiListen');
  if (isLoopback(host)) return `http://${listen}`;
  return `https://${isEveryAddress(host) ? `127.0.0.1:${port}` : listen}`;
}

/** Adds `init`. */
export function addInitCommand(program: Command, cli: Cli): void {
  const init = program
    .command('init')
    .description('create a mesh: its authority, the master key, the server’s identity and an API key for you')
    .requiredOption('--data <folder>', "the server's data folder; must be new or empty")
    .option('--mesh-id <id>', 'the name of the mesh in certificates')
    .option('--node <id>', "the server's node id")
    .option('--mesh-listen <host:port>', 'where relays and tentacles connect to', '[::]:8444')
    .option('--mesh-address <host:port>', 'the address they dial, when it is not the one that `init` shows')
    .option('--api-listen <host:port>', 'where the API listens', '127.0.0.1:8443')
    .option('--api-url <url>', 'the address of the API for the context file');
  examples(
    init,
    'isthmus init --data /var/lib/isthmus/server',
    "isthmus init --data ./server --api-listen '[::]:8443' --api-url https://isthmus.example:8443",
  ).action(async (options: InitOptions) => {
    const { initialise } = await import('../../server/operations/initialise.ts');
    const dataDir = resolve(options.data);
    const created = await initialise({
      dataDir,
      ...(options.meshId === undefined ? {} : { meshId: options.meshId }),
      ...(options.node === undefined ? {} : { node: options.node }),
      meshListen: options.meshListen ?? '[::]:8444',
      meshAddress: options.meshAddress,
      apiListen: options.apiListen ?? '127.0.0.1:8443',
    });
    const server = options.apiUrl ?? localUrl(options.apiListen ?? '127.0.0.1:8443');
    const usual = contextFileOf(cli.contextOption);
    // The context of another mesh may hold the only copy of its key.
    const beside = (name: string): string => join(dirname(usual), `${name}.json`);
    const aside = beside(`before-${created.meshId}`);
    const isAside = existsSync(usual) && !existsSync(aside) && (await putAside(usual, aside, server));
    const context = existsSync(usual) && !isAside ? beside(created.meshId) : usual;
    const isNew = isAside || !existsSync(context);
    if (isNew) await writeContext(context, { server, authorityPem: created.authorityPem, apiKey: created.adminKey });
    const command = context === contextFileOf(undefined) ? 'isthmus' : `isthmus --context ${shellWord(context)}`;
    // The key is only in files (0600): on the screen it would stay visible.
    const shown = {
      meshId: created.meshId,
      node: created.node,
      meshAddress: created.meshAddress,
      pin: created.pin,
      dataDir,
      ...(isNew ? { context } : {}),
    };
    cli.show(shown, () =>
      [
        `mesh ${created.meshId} created in ${dataDir}`,
        `authority pin  ${created.pin}`,
        `nodes dial     ${created.meshAddress} (mesh.address in ${options.data}/config.yaml sets another)`,
        `API key        in ${options.data}/admin.key`,
        `health checks  of every machine every 5 minutes (healthCheckIntervalS in that file sets another time)`,
        isNew
          ? `context        ${context}${context === usual ? '' : `, because ${usual} is another mesh's`}`
          : `context        ${context} is another mesh's and was left as it is: see \`isthmus login --help\``,
        ...(isAside ? [`               the one of another mesh at ${server} is ${aside} now`] : []),
        '',
        `Next:  ${startCommand('server', dataDir)}`,
        `       ${command} site create eu`,
        `       ${command} token create --role relay --site eu --name eu --address HOST:PORT`,
        '       (HOST:PORT is what the children of the relay dial)',
      ].join('\n'),
    );
  });
}
