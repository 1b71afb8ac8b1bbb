// The error catalogue and its page tell the same story: every code has a paragraph, every paragraph a code.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ERROR_CATALOGUE } from '../../contract/errors.ts';

const page = await readFile(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');
const sections = page.split(/^## /m).slice(1);
const headings = sections.map((section) => section.slice(0, section.indexOf('\n')).trim());

test('every code of the catalogue has a paragraph in docs/errors.md, and nothing else has', () => {
  expect([...headings].sort()).toEqual(Object.keys(ERROR_CATALOGUE).sort());
});

test('no paragraph is empty and no code is explained twice', () => {
  expect(new Set(headings).size).toBe(headings.length);
  for (const section of sections) {
    const text = section.slice(section.indexOf('\n')).trim();
    expect(text.length, section.slice(0, 40)).toBeGreaterThan(30);
  }
});

test('every code says what to do, and maps to an HTTP and a gRPC status', () => {
  for (const [code, entry] of Object.entries(ERROR_CATALOGUE)) {
    expect(code).toMatch(/^[A-Z][A-Z0-9_]+$/);
    expect(entry.remedy, code).toMatch(/^[A-Z`].{8,}[.!]$/s);
    expect(entry.http, code).toBeGreaterThanOrEqual(400);
    expect(entry.grpc, code).toBeGreaterThan(0);
    expect(entry.grpc, code).toBeLessThanOrEqual(16);
  }
});
