// What every command receives: the terminal, the API client, and one way to show a result.
import type { Command } from 'commander';
import type { Deletion } from '../contract/deletions.ts';
import { safeJson } from '../lib/text/unsafe-text.ts';
import type { ApiClient } from './client/client.ts';
import type { ContextOptions } from './client/context.ts';
import { confirm, say, warn, type Terminal } from './terminal.ts';

interface GlobalOptions extends ContextOptions {
  readonly output: 'table' | 'json';
}

/** The options of a command that deletes what says what would go. */
export interface RemoveOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export class Cli {
  readonly terminal: Terminal;
  /** The command that was given, once it is known. */
  command: Command | undefined;
  readonly #program: Command;
  #client: Promise<ApiClient> | undefined;
  #contextUsed: string | undefined;

  constructor(program: Command, terminal: Terminal) {
    this.#program = program;
    this.terminal = terminal;
  }

  /** The client for the server that options, environment or context file name. */
  client(): Promise<ApiClient> {
    return (this.#client ??= this.#connect());
  }

  /** Loads the client only for commands that need it. */
  async #connect(): Promise<ApiClient> {
    const { resolveConnection } = await import('./client/context.ts');
    const { ApiClient: Client } = await import('./client/client.ts');
    const connection = await resolveConnection(this.#program.opts<GlobalOptions>(), this.terminal);
    this.#contextUsed = connection.contextFile;
    return new Client(connection);
  }

  /** The context file that the client's connection was read from, once it is open. */
  get contextUsed(): string | undefined {
    return this.#contextUsed;
  }

  /**
   * Deletes a resource once the user agrees. A missing resource is reported before the question; without a terminal to
   * ask at, no request is sent. `resource` is its path, or finds it.
   */
  async remove(
    resource: string | ((client: ApiClient) => Promise<string>),
    question: string,
    yes: boolean | undefined,
  ): Promise<void> {
    const agreed = () => confirm(this.terminal, question, yes);
    if (!this.terminal.interactive) await agreed();
    const client = await this.client();
    await client.remove(typeof resource === 'string' ? resource : await resource(client), agreed);
  }

  /**
   * As `remove`, for what says what would go: that is shown before the question, is all of a dry run, and is answered at
   * the end. `prepare` finds what to delete, and returns what deletes it or says what that would remove.
   */
  async removeListed(
    prepare: (client: ApiClient) => Promise<(dryRun: boolean) => Promise<Deletion>>,
    question: string,
    { yes, dryRun = false }: RemoveOptions,
  ): Promise<void> {
    const agreed = () => confirm(this.terminal, question, yes);
    if (!this.terminal.interactive && !dryRun) await agreed();
    const remove = await prepare(await this.client());
    const { deletionLines } = await import('./render/deletion.ts');
    if (!dryRun && yes !== true) {
      for (const line of deletionLines(await remove(true))) warn(this.terminal, line);
      await agreed();
    }
    const deletion = await remove(dryRun);
    this.show(deletion, () => deletionLines(deletion).join('\n'));
  }

  get json(): boolean {
    return this.#program.opts<GlobalOptions>().output === 'json';
  }

  /** The context file that --context names. */
  get contextOption(): string | undefined {
    return this.#program.opts<GlobalOptions>().context;
  }

  /** Shows a result: as JSON with `--output json`, else as `text` returns it. */
  show(value: unknown, text: () => string): void {
    say(this.terminal, this.json ? safeJson(JSON.stringify(value ?? null, null, 2)) : text());
  }

  /** Closes what the command opened. */
  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    client?.close();
  }
}

/** Adds the options of a command that deletes what says what would go. */
export function removeOptions(command: Command): Command {
  return command.option('--dry-run', 'show what would go, and delete nothing').option('--yes', 'do not ask');
}

/** Adds examples to a command's help. */
export function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`);
}
