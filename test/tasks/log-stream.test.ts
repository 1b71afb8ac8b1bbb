// A line is acknowledged only after it is stored, however long the store takes.
import { expect, it, onTestFinished } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { followLog, type LogCommit } from '../../server/tasks/logs/log-stream.ts';
import { createTentacles } from '../../server/tasks/execution/tentacles.ts';
import { buildEnvelope } from '../../server/tasks/execution/envelopes.ts';
import { dialFakes, FakeTentacle, unsigned } from '../support/fake-tentacle.ts';
import { startScript } from '../support/start-script.ts';
import { waitFor } from '../support/wait.ts';

it('acknowledges nothing while the store still works on it', async () => {
  const fake = await new FakeTentacle('web-1').listen();
  onTestFinished(() => fake.stop());
  const tentacles = createTentacles(dialFakes(() => new Map([['web-1', fake.port]])));
  onTestFinished(() => tentacles.close());
  const ticket = newId();
  const fence = { task: newId(), epoch: 1 };
  const commits: LogCommit[] = [];
  const stored = Promise.withResolvers<void>();
  await tentacles.use('web-1', [], async (client) => {
    const payload = { interpreter: 'bash', body: 'many 3' };
    const work = { kind: 'script', payload } as const;
    const envelope = buildEnvelope(unsigned, { id: ticket, executor: 'web-1' }, fence, Date.now() + 60_000, work);
    await startScript(client, envelope);
    const following = followLog({
      client,
      ticket,
      executor: 'web-1',
      fence,
      storedLine: 0,
      signals: [],
      mayHaveRunElsewhere: () => false,
      commit: async (commit) => {
        commits.push(commit);
        await stored.promise;
        return commit.firstLine + commit.lines.length - 1;
      },
    });
    await waitFor(() => commits.length === 1);
    // Two round trips on the same connection: an acknowledgement that was sent would have arrived before them.
    for (let trips = 0; trips < 2; trips += 1) {
      await client.unary((c, o, done) => c.checkHealth({}, o, done), { deadlineMs: 5_000 });
    }
    expect(fake.script.acknowledgements).toEqual([]);
    stored.resolve();
    expect((await following).end).toMatchObject({ phase: 'EXITED', lastLine: 3 });
    await waitFor(() => fake.script.forgotten === 3);
  });
});
