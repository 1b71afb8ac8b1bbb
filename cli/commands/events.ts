// `isthmus events`: who changed what, or what was denied.
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
    .description('every change, oldest first')
    .option('--denied', 'what was denied, instead of the changes')
    .option('--after <seq>', 'only those after this number', count)
    .option('--last <n>', 'only the last n', count);
  examples(events, 'isthmus events --last 20', 'isthmus events --denied --last 20').action(
    async ({ after, last, denied }: { after?: number; last?: number; denied?: boolean }) => {
      const all = await (
        await cli.client()
      ).list<AuditEvent>('events', { after, ...(denied ? { denied: 'true' } : {}) }, 'after');
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
