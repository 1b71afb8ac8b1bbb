// The judge that stands outside the product: what scripts themselves write down when they run.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Api, TaskAnswer } from '../../support/api.ts';

/** One file per machine and task. Each run of a script appends a line when it starts, and the lines it prints. */
export class Witness {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async in(folder: string): Promise<Witness> {
    await mkdir(folder, { recursive: true });
    return new Witness(folder);
  }

  /** A script that says that it runs, then prints `lines` lines, `everyMs` apart, and exits with `code`. */
  script(lines: number, everyMs = 0, code = 0): string {
    const file = `${this.#folder}/$ISTHMUS_MACHINE.$ISTHMUS_TASK`;
    const pause = everyMs > 0 ? `sleep ${everyMs / 1000}` : ':';
    return [
      `echo "started $$ $RANDOM$RANDOM" >> "${file}"`,
      `for i in $(seq ${lines}); do echo "line $i of $ISTHMUS_MACHINE"; echo "said $i" >> "${file}"; ${pause}; done`,
      `echo "ended" >> "${file}"`,
      `exit ${code}`,
    ].join('\n');
  }

  async #rows(machine: string, task: string): Promise<string[]> {
    const rows = await readFile(join(this.#folder, `${machine}.${task}`), 'utf8').catch(() => '');
    return rows.split('\n').filter((row) => row !== '');
  }

  /** How many lines a machine's script has printed so far. */
  async said(machine: string, task: string): Promise<number> {
    return (await this.#rows(machine, task)).filter((row) => row.startsWith('said')).length;
  }

  /** The script was started exactly once on the machine, and the task's log has exactly the lines that it printed. */
  async agrees(api: Api, { id, machines }: TaskAnswer, lines: number): Promise<void> {
    const stream = (await api.stream(id)).filter((entry) => entry.kind === 'log');
    for (const { machine } of machines) {
      const rows = await this.#rows(machine, id);
      expect(
        rows.filter((row) => row.startsWith('started')),
        `${machine} started once`,
      ).toHaveLength(1);
      expect(rows.at(-1), machine).toBe('ended');
      const log = stream.filter((entry) => entry.machine === machine);
      expect(
        log.map((entry) => entry.line),
        `${machine}: lines 1..N`,
      ).toEqual(log.map((_entry, index) => index + 1));
      const printed = Array.from({ length: lines }, (_none, index) => `line ${index + 1} of ${machine}`);
      expect(
        log.map((entry) => entry.text).filter((text) => text.startsWith('line ')),
        machine,
      ).toEqual(printed);
    }
  }
}
