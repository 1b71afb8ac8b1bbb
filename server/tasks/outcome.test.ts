import { expect, it } from 'vitest';
import type { TicketState } from '../../contract/tasks.ts';
import type { FinishReason } from './context.ts';
import { taskOutcome } from './outcome.ts';

const tickets = (...states: TicketState[]) =>
  states.map((state, index) => ({ state, target: `m-${index}`, errorCode: null }));

it.each<[string, TicketState[], FinishReason | undefined, boolean]>([
  ['succeeded', ['succeeded', 'succeeded'], undefined, false],
  ['succeeded', ['succeeded', 'skipped'], undefined, false],
  ['failed', ['skipped', 'skipped'], undefined, false],
  ['succeeded', ['succeeded'], 'cancel', false],
  ['succeeded', ['succeeded'], 'deadline', false],
  ['failed', ['succeeded', 'failed'], undefined, false],
  ['failed', ['failed'], 'deadline', false],
  ['failed', ['failed', 'timed_out'], undefined, false],
  ['timed_out', ['timed_out', 'succeeded'], undefined, false],
  ['timed_out', ['timed_out', 'failed'], 'deadline', false],
  ['timed_out', [], 'deadline', true],
  ['cancelled', ['cancelled', 'succeeded'], 'cancel', false],
  ['cancelled', [], 'cancel', true],
  ['cancelled', ['succeeded'], 'cancel', true],
  ['interrupted', ['cancelled', 'interrupted'], 'cancel', false],
  ['interrupted', ['interrupted', 'failed'], undefined, false],
])('%s: tickets %j, cut short by %s, unfinished %s', (state, states, finishReason, unfinished) => {
  expect(taskOutcome({ tickets: tickets(...states), finishReason, unfinished }).state).toBe(state);
});

it('names only the machines with work left when the deadline has passed', () => {
  const { errorDetail } = taskOutcome({
    tickets: tickets('failed', 'timed_out', 'succeeded'),
    finishReason: 'deadline',
    unfinished: false,
  });
  expect(errorDetail).toBe('the deadline passed with work left on m-1');
});

it('names the machines, not all thousand of them', () => {
  const { errorDetail } = taskOutcome({
    tickets: tickets(...Array.from({ length: 30 }, () => 'failed' as const)),
    finishReason: undefined,
    unfinished: false,
  });
  expect(errorDetail).toMatch(/^failed on m-0, m-1, .* and 20 more$/);
});
