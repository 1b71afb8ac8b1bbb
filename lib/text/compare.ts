// The one order of texts that no language decides: by code unit, the same on every machine.

/** Below 0 when `a` comes first, above 0 when `b` does. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
