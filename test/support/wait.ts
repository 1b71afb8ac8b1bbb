// Waiting for a state, never for a time.

/** No wait is longer than this: a test that a mutant turns red would wait for what never comes. */
const LONGEST_MS = Number(process.env['ISTHMUS_TEST_WAIT_MS'] ?? Infinity);

export interface WaitOptions {
  readonly limitMs?: number;
  readonly everyMs?: number;
  readonly what?: string;
}

/** Polls `probe` until it gives a value that is not undefined or false; throws with the last state after `limitMs`. */
export async function waitFor<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  { limitMs: wantedMs = 30_000, everyMs = 10, what = 'the state' }: WaitOptions = {},
): Promise<T> {
  const limitMs = Math.min(wantedMs, LONGEST_MS);
  const deadline = Date.now() + limitMs;
  for (;;) {
    let failure: Error | undefined;
    let value: T | undefined | false;
    try {
      value = await probe();
    } catch (thrown) {
      failure = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    if (value !== undefined && value !== false && failure === undefined) return value;
    if (Date.now() > deadline) {
      throw new Error(
        `waited ${limitMs} ms for ${what}; last: ${failure === undefined ? String(value) : String(failure)}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
