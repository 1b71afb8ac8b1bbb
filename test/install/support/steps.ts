// For tests of a file that are steps of one story: after one that failed, the others would only fail too, each after its
// longest wait.
import { afterEach, beforeEach } from 'vitest';

/** Skips the steps after one that failed; `autopsy` gives what is printed of that one. */
export function asSteps(autopsy: () => Promise<string>): void {
  let failed = false;
  beforeEach((context) => context.skip(failed, 'an earlier step failed'));
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    failed = true;
    const why = task.result.errors?.map(({ message }) => message).join('\n') ?? '';
    console.error(`${why}\n${await autopsy()}`);
  });
}
