// Mutants of the task engine and its logs.
import type { Mutants } from './mutant.ts';

export const tasksMutants: Mutants = {
  'acquired-between-steps': {
    file: 'server/tasks/planned-steps.ts',
    find: 'part.step.acquisition === undefined ?',
    replace: 'part !== others[0] ?',
    also: [
      {
        file: 'server/tasks/planned-steps.ts',
        find: 'action !== first)',
        replace: 'part !== others[0] || action !== first)',
      },
    ],
    red: {
      file: 'test/tasks/stages.test.ts',
      test: ['fetches every package on every machine after the steps before it, and before any other step'],
    },
  },
  'unreachable-holds-up-all': {
    file: 'server/deployments/run.ts',
    find: 'machines.run(own, { answerLimitMs })',
    replace: 'machines.run(own, {})',
    red: {
      file: 'test/tasks/stages.test.ts',
      test: ['goes on without a machine that gives no answer for half of its time'],
    },
  },
  'old-machine-fetches-all-before': {
    file: 'server/deployments/steps/package-step.ts',
    find: 'acquiringInStep.length > 0 ?',
    replace: 'acquiringInStep.length < 0 ?',
    red: {
      file: 'test/tasks/stages.test.ts',
      test: ['lets a machine of version 0.1.0 fetch each package in its step, beside one that fetches all before'],
    },
  },
  'feed-unchecked-when-accepted': {
    file: 'server/deployments/steps/package-step.ts',
    find: 'if (feed !== undefined) checkFeed(feed);',
    replace: '',
    red: {
      file: 'test/tasks/stages.test.ts',
      test: ['is rejected at once where a step names no source, or pushes to a machine of version 0.1.0'],
    },
  },
  'each-silence-has-half-of-all': {
    file: 'server/deployments/run.ts',
    find: 'context.leftMs / 2 : undefined',
    replace: '(context.task.deadlineS * 1000) / 2 : undefined',
    red: {
      file: 'test/tasks/stages.test.ts',
      test: ['goes on without machines that are silent in one stage after another'],
    },
  },
  'named-machine-stops-nobody': {
    file: 'server/tasks/planned-steps.ts',
    find: 'steps[step]?.machine !== undefined',
    replace: 'false',
    red: { file: 'test/tasks/stages.test.ts', test: ['ends for all when that step fails'] },
  },
  'sent-again-to-another-process': {
    file: 'server/tasks/logs/log-stream.ts',
    find: 'const start = neverStart ? undefined : options.start;',
    replace: 'const { start } = options;',
    red: {
      file: 'test/tasks/in-doubt-starts.test.ts',
      test: ['never sends a script to a process that may lack the journal of the one that it was sent to'],
    },
  },
  'ack-before-store': {
    file: 'server/tasks/logs/log-stream.ts',
    find: 'const stored = await commit({',
    replace: `const acknowledgedLine = batch.firstLine + batch.lines.length - 1;
    call.write({ ticket, task: fence.task, epoch: fence.epoch, acknowledgedLine });
    const stored = await commit({`,
    red: { file: 'test/tasks/log-stream.test.ts', test: ['acknowledges nothing while the store still works on it'] },
  },
  'clock-jump-cuts': {
    file: 'server/tasks/clock.ts',
    find: 'await tx.tasks.moveWithClock(byMs);',
    replace: '',
    red: { file: 'test/tasks/clocks.test.ts', test: ['set by 3600000 ms, and right again'] },
  },
  'fence-off': {
    file: 'server/store/tasks/tasks.ts',
    find: '.set({ epoch, ...patch })',
    replace: ".set({ state: (of) => of.ref('state'), ...patch })",
    also: [
      { file: 'server/store/tasks/tasks.ts', find: ".where('epoch', '=', epoch)", replace: '' },
      {
        file: 'server/store/tasks/task-stream.ts',
        find: "if (fence !== undefined) query = query.where('epoch', '=', fence.epoch).where('ended_at', 'is', null);",
        replace: '',
      },
    ],
    red: {
      file: 'test/tasks/engine.test.ts',
      test: ['claims again, with the next epoch, what the owner no longer renews; the stale owner changes nothing'],
    },
  },
  'line-feed-after-open': {
    file: 'lib/masking/line-masker.ts',
    find: 'open: Buffer.alloc(0)',
    replace: "open: Buffer.from('\\n')",
    red: {
      file: 'lib/masking/line-masker.test.ts',
      test: ['line by line', 'masks a value in the parts of an open line, wherever it is divided'],
    },
  },
  'mask-per-chunk': {
    file: 'lib/masking/masker.ts',
    find: 'return this.#emit(this.#undecidedFrom(chunkStart + chunk.length));',
    replace: `this.#exactState = 0;
    this.#foldedState = 0;
    return this.#emit(chunkStart + chunk.length);`,
    red: {
      file: 'lib/masking/masker.test.ts',
      test: ['masker', 'a value pushed byte by byte never shows a beginning of itself'],
    },
  },
  'mask-per-line': {
    file: 'server/tasks/logs/log-masker.ts',
    find: 'maskerOf(line.stream).next(line.text, line.ending)',
    replace: 'masker.mask(line.text)',
    red: {
      file: 'test/tasks/unmasked-logs.test.ts',
      test: ['shows nothing of a key printed as wrapped hex, killed in the middle of it'],
    },
  },
  'mask-resumed-blind': {
    file: 'server/tasks/execution/script-ticket.ts',
    find: 'ticket.storedLine > 0',
    replace: 'false',
    red: {
      file: 'test/tasks/unmasked-logs.test.ts',
      test: ['shows nothing of a key printed as wrapped base64, killed in the middle of it'],
    },
  },
  'relay-believed': {
    file: 'server/tasks/execution/call-with-failover.ts',
    find: 'if (error instanceof NotConnected) return true;',
    replace: '',
    red: {
      file: 'test/tasks/hostile-answers.test.ts',
      test: ['a hop on the path that says TICKET_UNKNOWN', 'does not end a script that runs'],
    },
  },
  'revoked-waited-for': {
    file: 'server/topology/route-resolver.ts',
    find: "node.state === 'revoked'",
    replace: 'false',
    red: {
      file: 'test/server/revoked-machine.test.ts',
      test: ['ends at once on a machine that is revoked; the others finish, and nobody knows how it ended'],
    },
  },
  'resume-off-by-one': {
    file: 'server/tasks/logs/log-stream.ts',
    find: 'afterLine: options.storedLine,',
    replace: 'afterLine: options.storedLine === 0 ? 0 : options.storedLine + 1,',
    red: {
      file: 'test/tasks/crash.test.ts',
      test: ['while its log streams, after 3 acknowledged batches'],
    },
  },
  'younger-overtakes': {
    file: 'server/store/tasks/concurrency-key.ts',
    find: "and older.concurrency_seq < ${column('concurrency_seq')}",
    replace: "and older.created_at < ${column('created_at')}",
    red: {
      file: 'test/store/sqlite.test.ts',
      test: [
        'tasks on node:sqlite',
        'lets no task of a key overtake an earlier one, even after a clock change or an expired lease',
      ],
    },
  },
};
