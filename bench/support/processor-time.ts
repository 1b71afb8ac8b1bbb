// Processor time of processes from /proc: their own, and that of children they have waited for.
import { readdirSync, readFileSync } from 'node:fs';

/** Times of one process in milliseconds; the kernel counts in ticks of ten. */
interface Times {
  readonly parent: number;
  readonly own: number;
  readonly waitedFor: number;
}

const msPerTick = 10;

function timesOf(pid: number): Times | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command is in parentheses and may contain any character.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = (first: number): number => (Number(fields[first]) + Number(fields[first + 1])) * msPerTick;
    return { parent: Number(fields[1]), own: ticks(11), waitedFor: ticks(13) };
  } catch {
    // It has ended.
    return undefined;
  }
}

/** Own time of these processes, and of their children, including those that have been waited for. */
export function processorTimeMs(pids: readonly number[]): { readonly own: number; readonly children: number } {
  const wanted = new Set(pids);
  let [own, children] = [0, 0];
  for (const name of readdirSync('/proc')) {
    const times = /^\d+$/.test(name) ? timesOf(Number(name)) : undefined;
    if (times === undefined) continue;
    if (wanted.has(Number(name))) {
      own += times.own;
      children += times.waitedFor;
    } else if (wanted.has(times.parent)) children += times.own + times.waitedFor;
  }
  return { own, children };
}
