// `isthmus events`: who changed what, and what was refused.
import type { Command } from 'commander';
import type { AuditEvent } from '../../contract/audit.ts';
import { examples, type Cli } from '../cli.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { count } from '../values.ts';

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
