// What every command receives: the terminal, the API client, and one way to show a result.
import type { Command } from 'commander';
import { safeJson } from '../lib/text/unsafe-text.ts';
import type { ApiClient } from './client/client.ts';
import type { ContextOptions } from './client/context.ts';
import { confirm, say, type Terminal } from './terminal.ts';

interface GlobalOptions extends ContextOptions {
  readonly output: 'table' | 'json';
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

/** Adds examples to a command's help. */
export function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`);
}
