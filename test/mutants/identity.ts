// Mutants of what proves who a node is: certificates, enrolment, revocation.
import type { Mutants } from './mutant.ts';

export const identityMutants: Mutants = {
  'token-of-any-time': {
    file: 'certs/signer.ts',
    find: 'checkSigner(known.signer, trust, undefined, nowMs);',
    replace: '',
    red: {
      file: 'test/identity/signer.test.ts',
      test: [
        'a download token',
        'that was accepted once is denied by another mesh, and once its signer is out of date',
      ],
    },
  },
  'clone-admitted': {
    file: 'server/enrolment/starts.ts',
    find: 'return startNonce === null || nonces.includes(startNonce);',
    replace: 'return true;',
    red: {
      file: 'server/enrolment/starts.test.ts',
      test: [
        'a start',
        'of a copy, or of a snapshot, lacks the admitted one and is denied: one event, however often it comes',
      ],
    },
  },
  'clone-of-live-process': {
    file: 'server/enrolment/starts.ts',
    find: 'const earlier = await this.#earlier(node, sessions);',
    replace: 'const earlier = await this.#earlier(node, { ended: () => Promise.resolve(sessions !== undefined) });',
    red: {
      file: 'server/enrolment/starts.test.ts',
      test: ['a start', 'of a copy is denied while the process it was copied from reports'],
    },
  },
  'copy-has-the-journal': {
    file: 'certs/starts.ts',
    find: 'folderId === before.folderId',
    replace: 'folderId.length > 0',
    red: {
      file: 'certs/starts.test.ts',
      test: ['counts the starts of its own folder, and none that a copy or an earlier boot has told'],
    },
  },
  'start-not-durable': {
    file: 'certs/starts.ts',
    find: 'writeDurably(this.#path, `${JSON.stringify(file)}\\n`);',
    replace: '',
    red: { file: 'certs/starts.test.ts', test: ['is on the disk before it is told, and the next start has it'] },
  },
  'key-modes-unchecked': {
    file: 'lib/files/private.ts',
    find: 'if ((mode & forbidden) === 0) return;',
    replace: 'if (mode > 0) return;',
    red: {
      file: 'test/cli/permissions.test.ts',
      test: [
        'the tentacle and its seal.key',
        'is named with the chmod that mends it, where others can read or change it',
      ],
    },
  },
  'operations-unchecked': {
    file: 'server/operations/local-requests.ts',
    find: 'checkServerFolder(dataDir);',
    replace: '',
    red: {
      file: 'test/cli/permissions.test.ts',
      test: ["a server's folder is checked by `key create`, too, before anything changes in it"],
    },
  },
  'links-followed': {
    file: 'lib/files/private.ts',
    find: 'const entry = unlessGone(() => lstatSync(path));',
    replace: 'const entry = unlessGone(() => lstatSync(realpathSync(path)));',
    red: {
      file: 'test/cli/permissions.test.ts',
      test: ['a relay follows no link at identity, and what it points to stays as it was'],
    },
  },
  'credential-of-another-node': {
    file: 'certs/credential.ts',
    find: 'const expected = { node: known.node, roles: [known.role] };',
    replace: 'const expected = {};',
    red: {
      file: 'test/mesh/credentials.test.ts',
      test: ['a certificate shown on a live link ends it, and extends nothing,', 'of another node'],
    },
  },
  'credential-unbound': {
    file: 'certs/credential.ts',
    find: 'socket.exportKeyingMaterial(32, label(sender), context)',
    replace: 'context',
    red: {
      file: 'test/mesh/credentials.test.ts',
      test: [
        'a certificate shown on a live link ends it, and extends nothing,',
        'signed for another session of the same two nodes',
      ],
    },
  },
  'lost-join-holds-token': {
    file: 'server/enrolment/enrolment.ts',
    find: 'this.#ended(session);',
    replace: '',
    red: {
      file: 'test/identity/rejoin.test.ts',
      test: ['a key that enrolled and did not confirm gets nothing from the token once another has joined with it'],
    },
  },
  'pin-unchecked': {
    file: 'certs/enrolment/session.ts',
    find: 'fingerprint(certificate) === pin.toLowerCase()',
    replace: 'certificate.ca',
    red: {
      file: 'test/identity/preflight.test.ts',
      test: ['a man in the middle', 'with a mesh of his own is rejected by the pin, and never sees the token'],
    },
  },
  'proof-unbound': {
    file: 'certs/enrolment/proof.ts',
    find: '.update(session).update(nonce).update(spkiDer)',
    replace: '.update(nonce).update(spkiDer)',
    red: {
      file: 'test/identity/proofs.test.ts',
      test: ['a proof made in one session is rejected in another, with either nonce, and binds nothing'],
    },
  },
  'recipient-unchecked': {
    file: 'certs/signer.ts',
    find: 'content.tentacle !== self',
    replace: "content.tentacle === ''",
    red: {
      file: 'test/attacks/relay.test.ts',
      test: [
        'a relay',
        'that has stolen a server’s session key starts nothing without its signature, and nothing twice',
      ],
    },
  },
  'revocation-ignored': {
    file: 'certs/verify.ts',
    find: "if (revocations?.isRevoked(peer)) reject('PEER_CERTIFICATE_REVOKED', `${peer.node} has been revoked`);",
    replace: '',
    red: {
      file: 'test/identity/certificates.test.ts',
      test: ['rejected client certificates', 'revoked, and only that one: a later certificate of the node is good'],
    },
  },
  'revocation-lost-on-a-full-disk': {
    file: 'certs/revocations.ts',
    find: `this.#retry = setTimeout(() => this.#keep(), RETRY_MS);
      this.#retry.unref()`,
    replace: 'throw err',
    red: {
      file: 'test/identity/revocations.test.ts',
      test: ['a list that the disk does not take is in force and told, and written once the disk takes it'],
    },
  },
  'unconfirmed-let-in': {
    file: 'mesh/e2e/session.ts',
    find: 'if (peer.provisional && service.unconfirmed !== true) throw unconfirmed(peer);',
    replace: '',
    red: {
      file: 'test/identity/unconfirmed.test.ts',
      test: [
        'a node that has enrolled and not confirmed',
        'is, whatever the relays between forward, JOIN_UNCONFIRMED at the end of topology',
      ],
    },
  },
  'unconfirmed-replaces': {
    file: 'mesh/link/table.ts',
    find: 'peer.provisional && !live.peer.provisional',
    replace: 'peer.provisional && live.peer.provisional',
    red: {
      file: 'test/identity/unconfirmed.test.ts',
      test: ['a node that has enrolled and not confirmed', 'does not replace the node of its name that has confirmed'],
    },
  },
  'used-token-freed': {
    file: 'server/store/nodes/tokens.ts',
    find: 'bound_node: null })',
    replace: 'bound_node: null, used_at: null })',
    also: [
      {
        file: 'server/store/nodes/tokens.ts',
        find: `.where('used_at', 'is', null)
      .where('bound_spki_sha256', '=', spkiSha256)`,
        replace: ".where('bound_spki_sha256', '=', spkiSha256)",
      },
    ],
    red: {
      file: 'test/identity/rejoin.test.ts',
      test: ['a token given back after the confirmation stays used, and the node hears that it is in'],
    },
  },
  'software-by-any-key': {
    file: 'certs/release-keys.ts',
    find: 'verify(null, bytes, key, signature)',
    replace: 'signature.length > 0',
    red: {
      file: 'certs/release-keys.test.ts',
      test: ['a signed list', 'counts for nothing without a trusted key, a signature, or the right one'],
    },
  },
  'release-keys-of-anybody': {
    file: 'certs/release-keys.ts',
    find: 'checkDataDir(folder);',
    replace: '',
    red: {
      file: 'certs/release-keys.test.ts',
      test: ['trusted keys', 'are not read where others can change them, nor through a link'],
    },
  },
};
