// Mutants of the agent: the journal, its scripts, what it cleans up.
import type { Mutants } from './mutant.ts';

export const tentacleMutants: Mutants = {
  'journal-follows-links': {
    file: 'lib/files/private.ts',
    find: 'flags | constants.O_NOFOLLOW | constants.O_NONBLOCK',
    replace: 'flags | constants.O_NONBLOCK',
    red: {
      file: 'test/tentacle/links.test.ts',
      test: ['a link at journal/journal is rejected, and what it points to stays as it was'],
    },
  },
  'removals-follow-links': {
    file: 'tentacle/packages/private-folder.ts',
    find: 'ownFolder(this.path);',
    replace: '',
    red: {
      file: 'test/tentacle/links.test.ts',
      test: ['a link at applications/shop/prod/web/.private is rejected, and what it points to stays as it was'],
    },
  },
  'claim-off': {
    file: 'tentacle/scripts/recovery/recovery.ts',
    find: `  if (script.workspace.isClaimed(attempt)) return recoverStarted(script, masker, state);
  script.hold(async () => {
    const neverStarted = await retryShortage(() => script.workspace.takeClaim(attempt));`,
    replace: `  script.hold(async () => {
    const neverStarted = true;`,
    red: {
      file: 'test/tentacle/recovery.test.ts',
      test: [
        'an agent that was killed',
        'between the start of a script and writing down that it runs: takes it up, does not start it again',
      ],
    },
  },
  'launcher-not-spawned': {
    file: 'tentacle/scripts/launch/launcher.ts',
    find: "return Promise.resolve(rejected(errnoOf(error) ?? '', reasonOf(error)));",
    replace: 'throw error;',
    red: {
      file: 'test/tentacle/shortage.test.ts',
      test: ['an agent with few descriptors left starts a script or says that it did not, and lives'],
    },
  },
  'cancelled-order-carried-out': {
    file: 'tentacle/packages/used-tickets.ts',
    find: 'if (this.#journal.ticket(ticket) !== undefined) {',
    replace: "if (ticket === '') {",
    red: {
      file: 'test/attacks/replayed-orders.test.ts',
      test: ['carries out no order whose ticket the server has cancelled, before and after a restart'],
    },
  },
  'clone-queue-runs': {
    file: 'tentacle/scripts/recovery/recovery.ts',
    find: "if (state.phase === 'waiting') script.hold(() => startLate(script, payload, state, 1));",
    replace: "if (state.phase === 'waiting') await startLate(script, payload, state, 1);",
    red: {
      file: 'test/tentacle/recovery.test.ts',
      test: ['an agent that was killed', 'with a script in its queue that no server asks for: starts it never'],
    },
  },
  'dedupe-off': {
    file: 'tentacle/scripts/engine.ts',
    find: `const { ticket, task, payload, expiresAtMs } = order;
    if (this.#journal.ticket(ticket) !== undefined) return;`,
    replace: 'const { ticket, task, payload, expiresAtMs } = order;',
    red: {
      file: 'test/tentacle/scripts.test.ts',
      test: ['start', 'starts once per ticket, however often and at the same time it is asked, also after the end'],
    },
  },
  'fsync-off': {
    file: 'tentacle/journal/journal.ts',
    find: 'await dataSynced(this.#file);',
    replace: '',
    red: {
      file: 'test/tentacle/recovery.test.ts',
      test: ['the disk under the journal', 'no script is started before its start is on the disk'],
    },
  },
  'held-back-flushed': {
    file: 'tentacle/logs/raw-output.ts',
    find: 'return this.#cutter.flush();',
    replace: 'return [...this.#cutter.push(this.#clip(this.#stream.endPieces())), ...this.#cutter.flush()];',
    red: {
      file: 'tentacle/logs/raw-output.test.ts',
      test: ['output of a script', 'what stands for a second is shown; what may become a value is held back'],
    },
  },
  'long-line-cut': {
    file: 'tentacle/logs/line-cutter.ts',
    find: `    while (this.#line.length > LONGEST_LINE_BYTES) this.#giveOpen(this.#line.length, lines);`,
    replace: `    this.#giveOpen(this.#line.length, lines);
    this.#line.take(this.#line.length);`,
    red: {
      file: 'test/tentacle/logs.test.ts',
      test: ['output', 'a line of some parts is whole, and the next one follows'],
    },
  },
  'mask-twice': {
    file: 'tentacle/logs/unfinished-line.ts',
    find: 'piece.masked ? 1 : bytes.length',
    replace: 'piece.masked ? 0 : bytes.length',
    red: {
      file: 'tentacle/logs/raw-output.test.ts',
      test: ['output of a script', 'a mask that was shown is not shown again after a restart'],
    },
  },
  'orphan-output-unbounded': {
    file: 'tentacle/scripts/recovery/orphan-output.ts',
    find: 'cutAbove(file, MOST_BYTES)',
    replace: 'cutAbove(file, Infinity)',
    red: {
      file: 'test/tentacle/orphan-output.test.ts',
      test: [
        'a process that outlives its script',
        'with the output of the script open, in a session of its own: lives on, and the disk does not fill',
      ],
    },
  },
  'shortage-is-an-end': {
    file: 'tentacle/system-errors.ts',
    find: "return NOTHING_LEFT.has(errnoOf(error) ?? '');",
    replace: 'return false;',
    red: {
      file: 'test/tentacle/shortage.test.ts',
      test: ['a script that runs while there are none, and one that ends then, keep exit code and log'],
    },
  },
  'shortage-ends-log': {
    file: 'tentacle/logs/pump.ts',
    find: '!isShortage(error) || this.#abandoned || performance.now() >= untilMs',
    replace: 'isShortage(error)',
    red: {
      file: 'test/tentacle/shortage.test.ts',
      test: ['whichever file cannot be opened once, a script has its exit code and every line'],
    },
  },
  'signal-is-zero': {
    file: 'tentacle/scripts/launch/supervisor.ts',
    find: `"$@"
printf`,
    replace: `"$@" || [ "$?" -gt 159 ]
printf`,
    red: {
      file: 'test/tentacle/scripts.test.ts',
      test: [
        'a script that a signal ends',
        'has the exit code 128 + n and the number n, for every signal that ends a process',
      ],
    },
  },
  'spare-body-kept': {
    file: 'tentacle/scripts/workspace/workspace.ts',
    find: 'this.#emptyBut([this.sealed, this.exit])',
    replace: 'this.#emptyBut([this.sealed, this.exit, this.body])',
    red: {
      file: 'test/tentacle/orphan-output.test.ts',
      test: ['a process that outlives its script', 'in a session of its own sees nothing of the next script'],
    },
  },
  'started-unfollowed': {
    file: 'tentacle/scripts/recovery/find-started.ts',
    find: 'workspace.started()',
    replace: 'undefined',
    red: {
      file: 'test/tentacle/recovery.test.ts',
      test: [
        'an agent that was killed',
        'between the start of a script and writing down that it runs: takes it up, does not start it again',
      ],
    },
  },
};
