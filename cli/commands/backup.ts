// `isthmus backup` and `isthmus restore`: all data of a server, in one file.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { examples, type Cli } from '../cli.ts';
import { shellWord } from '../render/shell.ts';
import { confirm } from '../terminal.ts';

interface BackupOptions {
  readonly data: string;
  readonly to: string;
  readonly passphraseFile: string;
}

interface RestoreOptions {
  readonly data: string;
  readonly from: string;
  readonly passphraseFile: string;
  readonly yes?: boolean;
}

/** Adds `backup` and `restore`. */
export function addBackupCommands(program: Command, cli: Cli): void {
  const backup = program
    .command('backup')
    .description('write database, packages, authority and master key of a server to one file')
    .requiredOption('--data <folder>', "the server's data folder")
    .requiredOption('--passphrase-file <file>', 'the file with the passphrase it is encrypted with')
    .requiredOption('--to <file>', 'the file to write (0600)');
  examples(
    backup,
    'isthmus backup --data /var/lib/isthmus/server --to isthmus-2026-01-31.backup --passphrase-file backup.pass',
  ).action(async (options: BackupOptions) => {
    const { backup: write } = await import('../../server/operations/backup.ts');
    await write({
      dataDir: resolve(options.data),
      file: resolve(options.to),
      passphraseFile: resolve(options.passphraseFile),
    });
    cli.show({ file: resolve(options.to) }, () => `${options.to} written`);
  });

  const restore = program
    .command('restore')
    .description('create a server data folder from a backup')
    .requiredOption('--data <folder>', 'the folder to create; must be new or empty')
    .requiredOption('--from <file>', 'the backup')
    .requiredOption('--passphrase-file <file>', 'the file with the passphrase it was encrypted with')
    .option('--yes', 'do not ask');
  examples(
    restore,
    'isthmus restore --data /var/lib/isthmus/server --from isthmus-2026-01-31.backup --passphrase-file backup.pass --yes',
  ).action(async (options: RestoreOptions) => {
    await confirm(
      cli.terminal,
      `Restore into ${options.data}? The server it came from must no longer run.`,
      options.yes,
    );
    const { restore: read } = await import('../../server/operations/backup.ts');
    await read({
      dataDir: resolve(options.data),
      file: resolve(options.from),
      passphraseFile: resolve(options.passphraseFile),
    });
    cli.show(
      { dataDir: resolve(options.data) },
      () => `${options.data} restored; start it with: isthmus server start --data ${shellWord(options.data)}`,
    );
  });
}
