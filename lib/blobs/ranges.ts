// HTTP ranges of bytes, one at a time (RFC 9110 §14).

export interface ByteRange {
  readonly from: number;
  /** The first byte that is not in the range. */
  readonly to: number;
}

/**
 * The range that a request's headers select: undefined for the whole body (also for a Range of a kind that may be
 * ignored), or `unsatisfiable`.
 */
export function chooseRange(
  range: string | undefined,
  ifRange: string | string[] | undefined,
  sizeBytes: number,
  etag: string,
): ByteRange | 'unsatisfiable' | undefined {
  if (range === undefined || (ifRange !== undefined && ifRange !== etag)) return undefined;
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range);
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const first = match[1]!;
  const last = match[2]!;
  if (first === '')
    return last === '0' ? 'unsatisfiable' : { from: Math.max(0, sizeBytes - Number(last)), to: sizeBytes };
  const from = Number(first);
  const to = last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (from >= sizeBytes) return 'unsatisfiable';
  return from < to ? { from, to } : undefined;
}

/** Reads `Content-Range: bytes from-last/size`; undefined when it is anything else. */
export function parseContentRange(
  header: string | undefined,
): (ByteRange & { readonly sizeBytes: number }) | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header ?? '');
  if (match === null) return undefined;
  const [from, last, sizeBytes] = match.slice(1).map(Number) as [number, number, number];
  return from <= last && last < sizeBytes ? { from, to: last + 1, sizeBytes } : undefined;
}
