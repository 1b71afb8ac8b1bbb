// Mutants of links and tunnels.
import type { Mutants } from './mutant.ts';

export const meshMutants: Mutants = {
  'answer-to-no-link': {
    file: 'mesh/link/outbound-transport.ts',
    find: 'if (!signal.aborted) this.#controlAnswer(tunnelId, signal).deny',
    replace: 'this.#controlAnswer(tunnelId, signal).deny',
    red: {
      file: 'test/attacks/forged-tunnels.test.ts',
      test: ['a neighbour on a live link', 'that goes away while it asks for a tunnel does no harm to a relay: bulk'],
    },
  },
  'window-found-anew': {
    file: 'mesh/link/session.ts',
    find: 'minRoundTripMs, { kept });',
    replace: 'minRoundTripMs, {});',
    red: {
      file: 'test/mesh/kept-windows.test.ts',
      test: ['a node that was restarted sends at once what its last transfer had in flight'],
    },
  },
  'closed-peer-waited-for': {
    file: 'mesh/tunnel/bulk.ts',
    find: 'if (socket.readableEnded) this.#dropWrites();',
    replace: 'if (socket.readableEnded) return;',
    red: {
      file: 'test/mesh/teardown.test.ts',
      test: [
        'three hundred tunnels torn down under load, links dialled up',
        'leave no tunnel, and no caller that waits',
      ],
    },
  },
  'credential-unmoved': {
    file: 'mesh/link/credentials.ts',
    find: 'watched.expiry.moveTo(peer.notAfterMs);',
    replace: '',
    red: {
      file: 'test/mesh/credentials.test.ts',
      test: ['links dialled up', 'outlive the certificates they came up with, and so does what they carry'],
    },
  },
  'enrol-uncapped': {
    file: 'mesh/enrolment/rate-limiter.ts',
    find: 'this.#left -= chunk.length;',
    replace: '',
    red: {
      file: 'test/mesh/enrolment.test.ts',
      test: ['a node without a certificate', 'is cut off after its bytes, and kept out when it tries too often'],
    },
  },
  'expiry-ignored': {
    file: 'mesh/link/credentials.ts',
    find: 'new LongTimer(peer.notAfterMs,',
    replace: 'new LongTimer(peer.notAfterMs + 60_000,',
    red: {
      file: 'test/mesh/credentials.test.ts',
      test: ['a certificate that was not renewed', 'takes the link with it when it expires, and bulk on the link too'],
    },
  },
  'goodbye-ignored': {
    file: 'mesh/link/session.ts',
    find: `if (this.#ended.signal.aborted) return;
    this.#heartbeat.heard();`,
    replace: 'this.#heartbeat.heard();',
    red: {
      file: 'test/attacks/forged-tunnels.test.ts',
      test: ['a neighbour on a live link', 'is not heard any more once it has said goodbye'],
    },
  },
  'newcomer-denied': {
    file: 'lib/net/pending-connections.ts',
    find: 'if (oldest === undefined) return false;',
    replace: 'if (oldest !== undefined || isFull) return false;',
    red: {
      file: 'test/attacks/strangers.test.ts',
      test: ['connections that say nothing over http keep nobody out who has a key, and are one denial'],
    },
  },
  'handshake-unbounded': {
    file: 'lib/net/pending-connections.ts',
    find: 'setTimeout(() => this.close(), ms)',
    replace: 'setTimeout(() => undefined, ms)',
    red: {
      file: 'test/mesh/links.test.ts',
      test: ['the port', 'closes a thousand sockets that say nothing, and lets a good peer in among them'],
    },
  },
  'e2e-expiry-ignored': {
    file: 'mesh/e2e/open-sessions.ts',
    find: 'new LongTimer(stream.peer.notAfterMs,',
    replace: 'new LongTimer(stream.peer.notAfterMs + 60_000,',
    red: {
      file: 'test/mesh/e2e-credentials.test.ts',
      test: ['a session whose other end cannot be asked ends with the certificate that it has, on a link that goes on'],
    },
  },
  'killed-peer-waited-for': {
    file: 'mesh/link/session.ts',
    find: 'isConnected(connection.raw)',
    replace: 'true',
    red: {
      file: 'test/mesh/teardown.test.ts',
      test: ['tunnels through a relay that is killed', 'close at both ends, and so do calls that were being opened'],
    },
  },
  'peer-relation-unchecked': {
    file: 'mesh/link/inbound-link.ts',
    find: 'checkRelation(this.#context.self, peer, facts.relation);',
    replace: '',
    red: { file: 'test/mesh/links.test.ts', test: ['the hello', 'of a relay to a relay as its PARENT is denied'] },
  },
  'newest-loses': {
    file: 'mesh/link/table.ts',
    find: 'hello.epoch > live.epoch',
    replace: 'hello.epoch > 0',
    red: {
      file: 'test/mesh/links.test.ts',
      test: ['a newer session of the same node', 'replaces the old one at once, and an older one is rejected'],
    },
  },
  'newer-wire-denied': {
    file: 'mesh/wire-version.ts',
    find: 'if (highest >= Math.max',
    replace: 'if (theirs.newest <= own.newest && highest >= Math.max',
    red: {
      file: 'test/mesh/wire-versions.test.ts',
      test: ['a peer with a common wire version', 'is linked when it is dialled, and carries tunnels: a newer peer'],
    },
  },
  'older-wire-denied': {
    file: 'mesh/wire-version.ts',
    find: 'if (highest >= Math.max',
    replace: 'if (theirs.oldest >= own.oldest && highest >= Math.max',
    red: {
      file: 'test/mesh/wire-versions.test.ts',
      test: ['a peer with a common wire version', 'is linked when it dials, and carries tunnels: an older peer'],
    },
  },
  'one-path-up': {
    file: 'mesh/routing/forwarder.ts',
    find: 'of [node, ...others]) {',
    replace: 'of [node]) {',
    red: {
      file: 'test/mesh/two-parents.test.ts',
      test: [
        'what a node with two parents opens upwards',
        'goes by the second when the first has lost the server itself',
      ],
    },
  },
  'fast-heartbeat-not-passed-on': {
    file: 'mesh/link/neighbours.ts',
    find: '|| this.#fastChildren.size > 0',
    replace: '',
    red: {
      file: 'test/mesh/two-parents.test.ts',
      test: [
        'the heartbeat interval',
        'is a second on every link of a node with two parents, up to the server, and long again without it',
      ],
    },
  },
  'revocation-live-ignored': {
    file: 'mesh/mesh.ts',
    find: 'this.#revocationsChanged()',
    replace: 'undefined',
    red: {
      file: 'test/mesh/endpoints.test.ts',
      test: ['revocation', 'reaches every node and closes live tunnels and links within 5 s'],
    },
  },
  'session-not-carried-on': {
    file: 'mesh/mesh.ts',
    find: 'this.#sessionCredentials.keep(stream, { node, path: options.path });',
    replace: ';',
    red: {
      file: 'test/tasks/renewal.test.ts',
      test: [
        'a script behind two relays goes on when all certificates on its path are renewed and the old ones expire',
      ],
    },
  },
  'session-of-another': {
    file: 'mesh/e2e/open-sessions.ts',
    find: 'stream?.peer.node === node ? stream : undefined',
    replace: 'stream',
    red: {
      file: 'test/mesh/e2e-credentials.test.ts',
      test: ['a session of somebody else is not known, even to who has a proof for it'],
    },
  },
  'silence-unheard': {
    file: 'mesh/link/heartbeat.ts',
    find: 'this.#silentTicks += 1;',
    replace: '',
    red: { file: 'test/mesh/links.test.ts', test: ['a peer that falls silent', 'is given up by the accepting side'] },
  },
  'source-believed': {
    file: 'mesh/routing/rules.ts',
    find: 'request.source !== from.node',
    replace: 'false',
    red: {
      file: 'mesh/routing/rules.test.ts',
      test: ['a relay', 'rejects a leaf that speaks in another name, and believes a relay below it'],
    },
  },
  'window-unbounded-by-sending': {
    file: 'mesh/tunnel/window.ts',
    find: 'Math.max(1, acknowledgingMs, sendingMs)',
    replace: 'Math.max(1, acknowledgingMs)',
    red: {
      file: 'mesh/tunnel/window.test.ts',
      test: [
        'the window of a link',
        'does not take the acknowledgements that waited for a busy process for a fast line',
      ],
    },
  },
  'wire-version-ignored': {
    file: 'mesh/wire-version.ts',
    find: 'highest >= Math.max(theirs.oldest, own.oldest)',
    replace: 'highest >= 0',
    red: {
      file: 'test/mesh/wire-versions.test.ts',
      test: ['a peer without a common wire version', 'is denied with both ranges when it dials: a future peer'],
    },
  },
};
