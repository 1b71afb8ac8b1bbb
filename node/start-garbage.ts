// Gives back the memory that the start of a node took. An idle node makes so little garbage that V8 would keep for days
// the space in which the start's objects came and went.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** By then the node is linked, has reported, and has sent its first health. */
const AFTER_MS = 20_000;

/**
 * Collects the garbage once, soon: 8 MB of a tentacle, in about 20 ms (`npm run bench -- start`). Call what it returns
 * to leave it. https://nodejs.org/docs/latest-v24.x/api/v8.html#v8setflagsfromstringflags: the flag is off again before
 * anything else runs.
 */
export function collectStartGarbage(): () => void {
  const timer = setTimeout(() => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
    collect();
  }, AFTER_MS).unref();
  return () => clearTimeout(timer);
}
