// Evidence from outside the product: files in which scripts themselves record their runs.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Api, TaskAnswer } from '../../support/api.ts';

/** Scripts of one task by their names, with the lines that each prints. */
export type Printed = Readonly<Record<string, number>>;

/** One file per machine, task and script. Each run appends a row when it starts, and every line it prints. */
export class Witness {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async in(folder: string): Promise<Witness> {
    await mkdir(folder, { recursive: true });
    return new Witness(folder);
  }

  /** A script that records its start, then prints `lines` lines, `everyMs` apart. */
  script(name: string, lines: number, everyMs = 0): string {
    const file = `${this.#folder}/$ISTHMUS_MACHINE.$ISTHMUS_TASK.${name}`;
    const pause = everyMs > 0 ? `sleep ${everyMs / 1000}` : ':';
    return [
      `echo "started $$ $RANDOM$RANDOM" >> "${file}"`,
      `for i in $(seq ${lines}); do`,
      `  echo "said $i" >> "${file}"; echo "line $i of ${name} on $ISTHMUS_MACHINE"; ${pause}`,
      'done',
      `echo "ended" >> "${file}"`,
    ].join('\n');
  }

  async #rows(machine: string, task: string, name: string): Promise<string[]> {
    const rows = await readFile(join(this.#folder, `${machine}.${task}.${name}`), 'utf8').catch(() => '');
    return rows.split('\n').filter((row) => row !== '');
  }

  /** How many lines a machine's script has printed so far. */
  async said(machine: string, task: string, name: string): Promise<number> {
    return (await this.#rows(machine, task, name)).filter((row) => row.startsWith('said')).length;
  }

  async hasEnded(machine: string, task: string, name: string): Promise<boolean> {
    return (await this.#rows(machine, task, name)).at(-1) === 'ended';
  }

  /** Asserts that each script started once on each machine, and that the log is exactly what it printed, lines 1..N. */
  async agrees(api: Api, { id, machines }: TaskAnswer, printed: Printed): Promise<void> {
    const log = (await api.stream(id)).filter((entry) => entry.kind === 'log');
    for (const [ticket, entries] of Map.groupBy(log, (entry) => entry.ticket)) {
      const numbers = entries.map(({ line }) => line);
      expect(numbers, `ticket ${ticket}: lines 1..N`).toEqual(entries.map((_entry, index) => index + 1));
    }
    for (const { machine } of machines) {
      const texts = log.filter((entry) => entry.machine === machine).map(({ text }) => text);
      for (const [name, lines] of Object.entries(printed)) {
        const where = `${name} on ${machine}`;
        const rows = await this.#rows(machine, id, name);
        expect(
          rows.filter((row) => row.startsWith('started')),
          `${where} started once`,
        ).toHaveLength(1);
        expect(rows.at(-1), where).toBe('ended');
        const wanted = Array.from({ length: lines }, (_none, index) => `line ${index + 1} of ${where}`);
        expect(
          texts.filter((text) => text.endsWith(where)),
          where,
        ).toEqual(wanted);
      }
    }
  }
}
