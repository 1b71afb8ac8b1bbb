// Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), read from a response body.
import { createParser } from 'eventsource-parser';

export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** Bounds memory when an event never ends; the server cuts log lines at 64 KiB. In characters. */
const MAX_EVENT_LENGTH = 4 * 1024 * 1024;

/** Yields the complete events of a stream, without one that was cut off. RangeError when one is too long. */
export async function* serverEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  const parsed: ServerEvent[] = [];
  let isTooLong = false;
  const parser = createParser({
    maxBufferSize: MAX_EVENT_LENGTH,
    onEvent: ({ id, event = 'message', data }) => parsed.push({ id, event, data }),
    onError: ({ type }) => {
      isTooLong ||= type === 'max-buffer-size-exceeded';
    },
  });
  for await (const chunk of body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* parsed.splice(0);
    if (isTooLong) throw new RangeError('an event of the stream is too long');
  }
}
