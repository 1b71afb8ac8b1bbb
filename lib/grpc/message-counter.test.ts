// The count of messages must be right however the bytes of a call are cut.
import { expect, it } from 'vitest';
import { message } from '../../test/attacks/http2-frames.ts';
import { MessageCounter } from './message-counter.ts';

const call = Buffer.concat([0, 3, 0, 0, 300, 70_000, 1].map((length) => message(Buffer.alloc(length, 0xff))));

it.each([1, 2, 4, 5, 64, 16_384, call.length])('counts each message once in pieces of %i bytes', (size) => {
  const counter = new MessageCounter();
  let begun = 0;
  for (let at = 0; at < call.length; at += size) begun += counter.begunIn(call.subarray(at, at + size));
  expect(begun).toBe(7);
});
