// Parses option values: lists, durations, routes, parents. Commander reports errors with the option's name.
import { InvalidArgumentError } from 'commander';
import type { MachineRoute } from '../contract/machines.ts';

/** Collects `--machine a,b --machine c` to [a, b, c]. */
export function collect(value: string, previous: readonly string[] = []): string[] {
  const words = value.split(',');
  if (words.includes('')) throw new InvalidArgumentError('Give names, separated by commas.');
  return [...previous, ...words];
}

/** As `collect`; an empty word is an empty list. */
export function collectOrNone(value: string, previous: readonly string[] = []): string[] {
  return value === '' ? [...previous] : collect(value, previous);
}

const SECONDS_PER: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `15m`, `2h`, `1d` as seconds. A number without a unit is rejected as ambiguous. */
export function duration(value: string): number {
  const match = /^(\d{1,6})(s|m|h|d)$/.exec(value);
  if (match === null) throw new InvalidArgumentError('Give a number with its unit: 90s, 15m, 2h or 1d.');
  return Number(match[1]) * SECONDS_PER[match[2]!]!;
}

/** `22:00-06:00` */
export function timeWindow(value: string): { from: string; to: string } {
  const [, from, to] = /^((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d)$/.exec(value) ?? [];
  if (from === undefined || to === undefined) throw new InvalidArgumentError('Give two times of day: 22:00-06:00.');
  return { from, to };
}

const BYTES_PER: Readonly<Record<string, number>> = { k: 1000, M: 1_000_000, G: 1_000_000_000 };

/** `500k`, `10M`, `1G` as bytes a second. A number without a unit is rejected as ambiguous. */
export function bytesPerS(value: string): number {
  const match = /^([1-9]\d{0,5})(k|M|G)$/.exec(value);
  if (match === null) throw new InvalidArgumentError('Give a number with its unit: 500k, 10M or 1G bytes a second.');
  return Number(match[1]) * BYTES_PER[match[2]!]!;
}

/** A whole number of at least one. */
export function count(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError('Give a whole number of at least 1.');
  return Number(value);
}

/** `direct`, `auto`, or the relays to cross in order: `eu,eu-pci`. */
function route(value: string): MachineRoute {
  if (value === 'direct' || value === 'auto') return { kind: value };
  const via = value.split(',');
  if (via.some((relay) => relay === ''))
    throw new InvalidArgumentError('Give `direct`, `auto`, or relays in order: eu,eu-pci.');
  return { kind: 'path', via };
}

/** Collects whole values: `--address a:1 --address b:1` to ["a:1", "b:1"]. */
export function collectWhole(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

/** Collects routes: `--route eu,eu-pci --route direct`, or the same as arguments. */
export function collectRoutes(value: string, previous: readonly MachineRoute[] = []): MachineRoute[] {
  return [...previous, route(value)];
}

/** A parent: `eu-a`, or `eu-b=host:port` when the parent dials the node there. */
export function parent(value: string): { node: string; dialAddress?: string } {
  const [node = '', dialAddress, ...more] = value.split('=');
  if (node === '' || dialAddress === '' || more.length > 0) {
    throw new InvalidArgumentError('Give a node, or node=host:port when that node dials there.');
  }
  return dialAddress === undefined ? { node } : { node, dialAddress };
}

/** Collects parents: `eu-a eu-b=host:port`. */
export function collectParents(value: string, previous: readonly ReturnType<typeof parent>[] = []) {
  return [...previous, parent(value)];
}

/** Routes in order of preference as text. */
export function routesText(routes: readonly MachineRoute[]): string {
  return routes.map((each) => (each.kind === 'path' ? each.via.join(' > ') : each.kind)).join(' | ');
}

/** `name=value` */
export function pair(value: string): [string, string] {
  const equals = value.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('Give name=value.');
  return [value.slice(0, equals), value.slice(equals + 1)];
}

/** Collects `name=value` options. */
export function collectPairs(value: string, previous: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [name, content] = pair(value);
  return { ...previous, [name]: content };
}
