// `isthmus backup` and `isthmus restore`: everything a server is, in one file.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { examples, type Cli } from '../cli.ts';
import { confirm } from '../terminal.ts';

interface BackupOptions {
  readonly data: string;
  readonly to: string;
}

interface RestoreOptions {
  readonly data: string;
  readonly from: string;
  readonly yes?: boolean;
}

/** Adds `backup` and `restore`. */
export function addBackupCommands(program: Command, cli: Cli): void {
  const backup = program
    .command('backup')
    .description('write database, packages, authority and master key of a server to one file')
    .requiredOption('--data <folder>', "the server's data folder")
    .requiredOption('--to <file>', 'the file to write (0600); keep it as you keep the master key');
  examples(backup, 'isthmus backup --data /var/lib/isthmus/server --to isthmus-2026-01-31.backup').action(
    async (options: BackupOptions) => {
      const { backup: write } = await import('../../server/backup.ts');
      await write({ dataDir: resolve(options.data), file: resolve(options.to) });
      cli.show({ file: resolve(options.to) }, () => `${options.to} written`);
    },
  );

  const restore = program
    .command('restore')
    .description('make a server data folder from a backup')
    .requiredOption('--data <folder>', 'the folder to make; must be new or empty')
    .requiredOption('--from <file>', 'the backup')
    .option('--yes', 'do not ask');
  examples(restore, 'isthmus restore --data /var/lib/isthmus/server --from isthmus-2026-01-31.backup --yes').action(
    async (options: RestoreOptions) => {
      await confirm(
        cli.terminal,
        `Restore into ${options.data}? The server it came from must not run any more.`,
        options.yes,
      );
      const { restore: read } = await import('../../server/backup.ts');
      await read({ dataDir: resolve(options.data), file: resolve(options.from) });
      cli.show(
        { dataDir: resolve(options.data) },
        () => `${options.data} restored; start it with: isthmus server start --data ${options.data}`,
      );
    },
  );
}
