// Masks a ticket's log before it is stored. The tentacle has masked it at the source; this is for one that did not, by a
// fault or because it is old. Give it every line once, in order.
import type { Masker } from '../../../lib/masking/masker.ts';
import type { NewLogLine } from '../../store/tasks/log-lines.ts';

/** Longer lines are cut by the tentacle already; this keeps one that does not from filling the store. */
const LONGEST_LINE = 128 * 1024;

/** Masks lines of one ticket. `resumed` when lines before them are stored already. */
export function logMasker(masker: Masker, resumed: boolean): (lines: readonly NewLogLine[]) => NewLogLine[] {
  const fresh = () => masker.lines({ resumed });
  // What a script writes to one stream is one text; in the log the two are mixed, and what the agent says is of neither.
  const [stdout, stderr, agent] = [fresh(), fresh(), fresh()];
  const maskerOf = (stream: string) => (stream === 'stdout' ? stdout : stream === 'stderr' ? stderr : agent);
  return (lines) => lines.map((line) => ({ ...line, text: cut(maskerOf(line.stream).next(line.text)) }));
}

function cut(text: string): string {
  return text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}… (cut)` : text;
}
