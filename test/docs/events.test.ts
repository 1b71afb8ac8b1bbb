// The lists of events and denials and their page tell the same story: every type has a line, every line a type.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DENIAL_SUBJECTS, EVENT_SUBJECTS } from '../../contract/events.ts';

const page = await readFile(join(import.meta.dirname, '../../docs/events.md'), 'utf8');

/** The first two columns of a section's table. */
function listed(heading: string): Record<string, string> {
  const section = page.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? '';
  const lines = [...section.matchAll(/^\| `([^`]+)` *\| (\S+) *\| \S/gm)];
  expect(new Set(lines.map(([, type]) => type)).size, 'a type has one line').toBe(lines.length);
  return Object.fromEntries(lines.map(([, type = '', subject = '']) => [type, subject] as const));
}

test('every event has a line in docs/events.md with its subject, and nothing else has', () => {
  expect(listed('Events')).toEqual(EVENT_SUBJECTS);
});

test('every denial has a line in docs/events.md with its subject, and nothing else has', () => {
  expect(listed('Denials')).toEqual(DENIAL_SUBJECTS);
});

test('every type has the one form', () => {
  for (const type of Object.keys(EVENT_SUBJECTS)) expect(type).toMatch(/^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$/);
  for (const type of Object.keys(DENIAL_SUBJECTS)) expect(type).toMatch(/^[a-z]+\.denied$/);
});
