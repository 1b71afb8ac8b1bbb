// Formats durations and moments.
import { DAY_MS } from '../../lib/time.ts';

/** `3.2 ms`, `1.4 s` */
export function milliseconds(count: number | null | undefined): string {
  if (count === null || count === undefined) return '-';
  return count < 1000 ? `${count.toFixed(count < 10 ? 1 : 0)} ms` : `${(count / 1000).toFixed(1)} s`;
}

/** A moment as `2026-01-31 12:30:05Z`; `-` when there is none. The API gives milliseconds or an ISO string. */
export function moment(value: number | string | null | undefined): string {
  if (value === null || value === undefined || value === '') return '-';
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : `${date.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** Whole days from now until a moment. */
export function daysUntil(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return '-';
  return ((new Date(value).getTime() - Date.now()) / DAY_MS).toFixed(1);
}
