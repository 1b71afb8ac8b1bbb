// Carries connections from a unix socket to a TCP port: a unix socket is reached across network namespaces, so a test
// can talk to an API that listens on the loopback of a lab host. Ends with its standard input.
// usage: unix-bridge.ts SOCKET HOST PORT
import { connect, createServer } from 'node:net';

const [path = '', host = '', port = '0'] = process.argv.slice(2);
const server = createServer((near) => {
  const far = connect({ host, port: Number(port), noDelay: true });
  near.on('error', () => far.destroy()).on('close', () => far.destroy());
  far.on('error', () => near.destroy()).on('close', () => near.destroy());
  near.pipe(far).pipe(near);
});
server.listen(path, () => process.stdout.write('listening\n'));
process.stdin.on('end', () => process.exit(0)).resume();
