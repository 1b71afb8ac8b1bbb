// Exits 0 when its target is healthy: `https://host:port/path` answers 2xx, or `tcp://host:port` accepts a connection, or
// `linked`, for a component that only dials: a process in this container is connected to another host. A component closes
// a link without answers itself, so an open link is one that works.
import { existsSync, readFileSync } from 'node:fs';
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
  // The certificate is not verified: only the answer counts, and no secret is sent.
  const request = get(target, { rejectUnauthorized: false }, (response) => {
    const status = response.statusCode ?? 0;
    end(status >= 200 && status < 300, `answers ${status}`);
  });
  request.on('error', (failure) => end(false, failure.message));
} else if (target.startsWith('tcp://')) {
  const { hostname, port } = new URL(target);
  const socket = connect({ host: hostname, port: Number(port) }, () => end(true, 'open'));
  socket.on('error', (failure) => end(false, failure.message));
} else if (target === 'linked') {
  const linked = ['/proc/net/tcp', '/proc/net/tcp6'].filter(existsSync).some(hasConnection);
  end(linked, linked ? 'connected' : 'no connection to another host');
} else {
  end(false, 'is neither https://, http://, tcp:// nor linked');
}

/** @param {string} table as proc(5) has it: index, local, remote, state (01: established), … */
function hasConnection(table) {
  const rows = readFileSync(table, 'utf8').trim().split('\n').slice(1);
  return rows.some((row) => {
    const [, , remote = '', state] = row.trim().split(/\s+/);
    return state === '01' && !isLoopback(remote);
  });
}

/** @param {string} address hexadecimal, each word of four bytes in the order of the host, as the kernel prints it */
function isLoopback(address) {
  const [host = ''] = address.split(':');
  const v4 = host.length === 8 ? host : host.startsWith('0000000000000000FFFF0000') ? host.slice(24) : '';
  return v4 === '' ? host === '00000000000000000000000001000000' : v4.endsWith('7F');
}
