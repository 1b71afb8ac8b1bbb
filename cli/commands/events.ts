// `isthmus events`: the audit events, who changed what, or what was denied.
import type { Command } from 'commander';
import type { AuditEvent } from '../../contract/audit.ts';
import { examples, type Cli } from '../cli.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { count } from '../values.ts';

interface EventsOptions {
  readonly after?: number;
  readonly last?: number;
  readonly denied?: boolean;
  readonly type?: string;
  readonly subject?: string;
}

/** Adds `events`. */
export function addEventsCommand(program: Command, cli: Cli): void {
  const events = program
    .command('events')
    .description('every change, oldest first')
    .option('--denied', 'denials instead of changes')
    .option('--type <type>', 'only those of this type, such as link.lost')
    .option('--subject <id>', 'only those of this node, task, project and so on')
    .option('--after <seq>', 'only those after this number', count)
    .option('--last <n>', 'only the last n', count);
  examples(events, 'isthmus events --last 20', 'isthmus events --denied --last 20').action(
    async ({ last, denied, ...filter }: EventsOptions) => {
      const query = { ...filter, ...(denied ? { denied: 'true' } : {}) };
      const all = await (await cli.client()).list<AuditEvent>('events', query, 'after');
      const items = last === undefined ? all : all.slice(-last);
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
