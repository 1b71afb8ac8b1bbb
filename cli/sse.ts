// Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), read from a response body.

export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

// A line that never ends must not fill the memory; the server cuts log lines at 64 KiB.
const longestLine = 4 * 1024 * 1024;

interface Pending {
  id: string | undefined;
  event: string;
  data: string[];
}

function take(line: string, pending: Pending): void {
  if (line.startsWith(':')) return;
  const colon = line.indexOf(':');
  const field = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (field === 'id' && !value.includes('\0')) pending.id = value;
  if (field === 'event') pending.event = value;
  if (field === 'data') pending.data.push(value);
}

/** The events of a stream, one by one; an event that was cut off is not one. */
export async function* serverEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let pending: Pending = { id: undefined, event: 'message', data: [] };
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > longestLine) throw new RangeError('a line of the event stream is too long');
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line !== '') {
        take(line, pending);
        continue;
      }
      if (pending.data.length > 0) yield { id: pending.id, event: pending.event, data: pending.data.join('\n') };
      pending = { id: undefined, event: 'message', data: [] };
    }
  }
}
