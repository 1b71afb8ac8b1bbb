// Masks a ticket's log before it is stored. The tentacle masks it at the source; this catches a tentacle that did not,
// because of a fault or an old version. Pass every line once, in order.
import type { Masker } from '../../../lib/masking/masker.ts';
import type { NewLogLine } from '../../store/tasks/log-lines.ts';

/** The tentacle splits longer lines already; this keeps one that does not from filling the store. */
const LONGEST_LINE = 128 * 1024;

/** A masker for the lines of one ticket. `resumed` when earlier lines are stored already. */
export function logMasker(masker: Masker, resumed: boolean): (lines: readonly NewLogLine[]) => NewLogLine[] {
  const fresh = () => masker.lines({ resumed });
  // A secret can span lines of one stream. The log mixes the streams, and the agent's own lines belong to neither.
  const [stdout, stderr, agent] = [fresh(), fresh(), fresh()];
  const maskerOf = (stream: string) => (stream === 'stdout' ? stdout : stream === 'stderr' ? stderr : agent);
  return (lines) => lines.map((line) => ({ ...line, text: cut(maskerOf(line.stream).next(line.text, line.ending)) }));
}

function cut(text: string): string {
  return text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}… (cut)` : text;
}
