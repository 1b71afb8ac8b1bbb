// `isthmus events`: who changed what, and what was refused.
import type { Command } from 'commander';
import { examples, type Cli } from '../cli.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { count } from '../values.ts';

interface AuditEvent {
  readonly seq: number;
  readonly at: number | string;
  readonly actor: string;
  readonly type: string;
  readonly subjectKind: string;
  readonly subject: string;
  readonly data?: unknown;
}

/** Adds `events`. */
export function addEventsCommand(program: Command, cli: Cli): void {
  const events = program
    .command('events')
    .description('audit events, oldest first')
    .option('--after <seq>', 'only those after this number', count)
    .option('--last <n>', 'only the last n', count);
  examples(events, 'isthmus events --last 20', 'isthmus events --after 1200 -o json').action(
    async (options: { after?: number; last?: number }) => {
      const all = await (await cli.client()).list<AuditEvent>('events', { after: options.after }, 'after');
      const items = options.last === undefined ? all : all.slice(-options.last);
      const rows = items.map((each) => [
        each.seq,
        moment(each.at),
        each.actor,
        each.type,
        `${each.subjectKind} ${each.subject}`,
        JSON.stringify(each.data ?? {}),
      ]);
      cli.show(items, () => renderTable(['#', 'at', 'actor', 'event', 'subject', 'data'], rows));
    },
  );
}
