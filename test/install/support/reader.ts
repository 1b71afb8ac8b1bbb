// Does what a page says, as its reader would: runs each block on its machine, in order, and where the page says
// `isthmus join …`, the lines that the last `isthmus token create` printed.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Estate } from './estate.ts';
import type { Block } from './pages.ts';

const root = join(import.meta.dirname, '../../..');

const printedJoin = /^isthmus join (?<options>.*) <<'END'\n(?<rest>[^]*?\nEND)$/m;
const shownJoin = /^isthmus join …(?<more>[^#\n]*).*$/m;

/** Puts the printed lines of `isthmus token create` where the page shows `isthmus join …`, with any words after it. */
export function asTyped(script: string, printed: string): string {
  const shown = shownJoin.exec(script)?.groups;
  if (shown === undefined) return script;
  const lines = printedJoin.exec(printed)?.groups;
  if (lines === undefined) throw new Error('no command has printed the lines of `isthmus join` yet');
  const more = (shown['more'] ?? '').trim();
  const words = ['isthmus join', ...(more === '' ? [] : [more]), lines['options']].join(' ');
  return script.replace(shownJoin, () => `${words} <<'END'\n${lines['rest']}`);
}

/** Options of `setpriv`: a command that ends with this process, and takes all that it started with it. */
const confined = ['--pdeathsig', 'KILL', 'unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** Variables that npm and the tests set for their own processes. */
const ofTests = /^(?:npm_|VITEST|NODE_ENV$|NODE_OPTIONS$|NODE_COMPILE_CACHE$)/;

export class Reader {
  readonly #estate: Estate;
  readonly #checkout: string;
  readonly #home: string;
  #printed = '';

  /** `folder` is an empty folder for a copy of the checkout, and for a home. */
  constructor(estate: Estate, folder: string) {
    this.#estate = estate;
    this.#checkout = join(folder, 'isthmus');
    this.#home = join(folder, 'home');
  }

  /** Runs a block; throws with what it printed when it fails. */
  async run({ machines, script }: Block): Promise<void> {
    for (const machine of machines) {
      const printed =
        machine === 'checkout'
          ? await this.#inCheckout(script)
          : await this.#onMachine(machine, asTyped(script, this.#printed));
      if (printedJoin.test(printed)) this.#printed = printed;
    }
  }

  async #onMachine(machine: string, script: string): Promise<string> {
    const { exitCode, stdout } = await this.#estate.machine(machine).typed(script);
    if (exitCode !== 0) throw new Error(`on ${machine}, exit code ${exitCode}:\n${script}\n${stdout}`);
    return stdout;
  }

  /**
   * In a copy of the checkout, which begins without what was built or installed in this one. Where Ctrl-C is offered, it
   * is taken. What has been built is carried to every machine.
   */
  async #inCheckout(script: string): Promise<string> {
    if (!existsSync(this.#checkout)) await copyCheckout(this.#checkout);
    await mkdir(this.#home, { recursive: true });
    const child = spawn('setpriv', [...confined, 'sh', '-e', '-c', script], {
      cwd: this.#checkout,
      env: {
        ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !ofTests.test(name))),
        HOME: this.#home,
        // What npm has of this user saves time, and may be what lets it reach a registry.
        npm_config_cache: join(homedir(), '.npm'),
        npm_config_userconfig: join(homedir(), '.npmrc'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C goes to every process of a terminal, here of a group.
      detached: true,
    });
    let said = '';
    let offered = false;
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      if (offered || !said.includes('Ctrl-C')) return;
      offered = true;
      process.kill(-(child.pid ?? 0), 'SIGINT');
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const [exitCode] = (await once(child, 'close')) as [number | null];
    if (exitCode !== 0 && !offered) throw new Error(`in the checkout, exit code ${String(exitCode)}:\n${said}`);
    const built = join(this.#checkout, 'out');
    if (existsSync(built)) await this.#estate.carry(built);
    return said;
  }
}

async function copyCheckout(folder: string): Promise<void> {
  const listed = await promisify(execFile)('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root });
  const files = listed.stdout.split('\0').filter((name) => name !== '' && existsSync(join(root, name)));
  for (const file of files) await cp(join(root, file), join(folder, file));
}
