// Exits 0 when what it is told to look at answers: `https://host:port/path` with 2xx, `tcp://host:port` with a
// connection, `pid1` with a first process that is still there (for a part that only dials).
import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';
import { connect } from 'node:net';

const limitMs = 4_000;
const target = process.argv[2] ?? '';

/** @param {boolean} healthy @param {string} why */
function end(healthy, why) {
  if (!healthy) process.stderr.write(`${target}: ${why}\n`);
  process.exit(healthy ? 0 : 1);
}

setTimeout(() => end(false, `no answer within ${limitMs} ms`), limitMs);
if (/^https?:/.test(target)) {
  const get = target.startsWith('https:') ? getSecure : getPlain;
  // Nothing is sent and nothing is believed but that it answers: whose certificate it is, is for its clients to check.
  const request = get(target, { rejectUnauthorized: false }, (response) => {
    const status = response.statusCode ?? 0;
    end(status >= 200 && status < 300, `answers ${status}`);
  });
  request.on('error', (failure) => end(false, failure.message));
} else if (target.startsWith('tcp://')) {
  const { hostname, port } = new URL(target);
  const socket = connect({ host: hostname, port: Number(port) }, () => end(true, 'open'));
  socket.on('error', (failure) => end(false, failure.message));
} else if (target === 'pid1') {
  process.kill(1, 0);
  end(true, 'there');
} else {
  end(false, 'is neither https://, http://, tcp:// nor pid1');
}
