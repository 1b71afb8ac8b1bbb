// Mutants of packages: sources, mirrors, unpacking.
import type { Mutants } from './mutant.ts';

export const packagesMutants: Mutants = {
  'blame-the-last': {
    file: 'lib/blobs/fetch.ts',
    find: 'this.#answers > 1',
    replace: 'this.#answers > 1 && this.#alone',
    red: {
      file: 'test/packages/fetch.test.ts',
      test: ['mirror-swap', 'wrong bytes up to a cut do not make the honest source that finishes look wrong'],
    },
  },
  'delta-output-unbounded': {
    file: 'lib/delta/codec.ts',
    find: 'if (bytes > targetBytes) throw tooMuch(targetBytes);',
    replace: '',
    red: {
      file: 'test/packages/delta.test.ts',
      test: ['a patch', 'that claims 2 GiB, in a small window, is rejected'],
    },
  },
  'delta-not-verified': {
    file: 'lib/delta/fetch-delta.ts',
    find: 'await target.commit(hints.content);',
    replace: 'await target.commit();',
    red: {
      file: 'test/packages/delta-fetch.test.ts',
      test: ['a target', 'that gets a patch that is to something else fetches the whole once, and says why'],
    },
  },
  'delta-made-per-requester': {
    file: 'lib/delta/delta-cache.ts',
    find: 'this.#making.get(name) ?? this.#begin(name, make)',
    replace: 'this.#begin(name, make)',
    red: {
      file: 'test/packages/delta-requests.test.ts',
      test: ['a patch in the cache', 'is made once for all that ask meanwhile'],
    },
  },
  'feed-anywhere': {
    file: 'lib/net/network-address.ts',
    find: 'isIn(NOWHERE, plain)',
    replace: 'false',
    red: {
      file: 'test/attacks/ssrf.test.ts',
      test: ['the URL of a feed', 'at 169.254.169.254 is forbidden, and not connected to'],
    },
  },
  'a-byte-is-progress': {
    file: 'lib/blobs/progress-floor.ts',
    find: 'return came.bytes >= bytes * Math.max(1, came.ms / withinMs);',
    replace: 'return came.bytes > 0;',
    red: {
      file: 'test/packages/fetch.test.ts',
      test: ['sources that are all too slow', 'a few bytes a second: the fetch ends, and says so of each'],
    },
  },
  'fetch-per-follower': {
    file: 'mirror/cache.ts',
    find: 'if (pulling !== undefined) return pulling;',
    replace: '',
    red: {
      file: 'test/packages/mirror.test.ts',
      test: ['pulling through', 'asks a slow origin once for eight targets, and lets them follow'],
    },
  },
  'activation-not-stopped': {
    file: 'tentacle/service.ts',
    find: 'withdrawPackage(key.ticket);',
    replace: '',
    red: {
      file: 'test/attacks/replayed-orders.test.ts',
      test: ['stops an activation whose ticket is cancelled, puts back what was installed, and says so'],
    },
  },
  'activation-cancel-unsent': {
    file: 'server/tasks/execution/package-ticket.ts',
    find: 'whenAborted(context.finish, cancel)',
    replace: 'whenAborted(context.halt, cancel)',
    red: {
      file: 'test/tasks/settling.test.ts',
      test: ['has the machine stop an activation at a cancel, and says what is installed there'],
    },
  },
  'modes-hold-up-the-copy': {
    file: 'tentacle/packages/readable.ts',
    find: 'const isDenied = was.uid === process.geteuid!() &&',
    replace: 'const isDenied = was.uid === -1 &&',
    red: {
      file: 'test/packages/install-to.test.ts',
      test: [
        'modes that hold up their owner, where the agent is not root',
        'are no hindrance to substitution and to the copy, and come last, as they are in the package',
      ],
    },
  },
  'sensitive-warnings-cut': {
    file: 'tentacle/packages/stage.ts',
    find: "kind === 'sensitive' ? 0 : 1",
    replace: "kind === 'sensitive' ? 1 : 1",
    red: {
      file: 'test/packages/staging.test.ts',
      test: ['tells first which files took in a sensitive value, however much else there is to tell'],
    },
  },
  'marker-before-taking-over': {
    file: 'tentacle/packages/install/install-to.ts',
    find: `may forbid that.
      await takeOver(folder, path);`,
    replace: '',
    red: {
      file: 'test/packages/install-to.test.ts',
      test: [
        'modes that hold up their owner, where the agent is not root',
        'let the next release be installed after one whose folders are read-only',
      ],
    },
  },
  'installs-over-others': {
    file: 'tentacle/packages/install/install-to.ts',
    find: 'if (!isOurs) throw inUse(',
    replace: 'if (!isOurs) void inUse(',
    red: {
      file: 'test/packages/install-to.test.ts',
      test: ['installTo', 'leaves a folder alone that has files and no marker, or the marker of another installation'],
    },
  },
  'installs-through-links': {
    file: 'tentacle/packages/install/install-path.ts',
    find: 'const ANY_FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;',
    replace: 'const ANY_FOLDER = O_PATH | constants.O_DIRECTORY;',
    red: {
      file: 'test/packages/install-to.test.ts',
      test: ['installTo', 'is never a folder below a link'],
    },
  },
  'failed-release-is-previous': {
    file: 'tentacle/packages/activate.ts',
    find: "await releases.link('previous', last);",
    replace: "await releases.link('previous', current ?? last);",
    red: {
      file: 'test/packages/kept-releases.test.ts',
      test: ['a retry that fails again and again leaves what serves on disk, as the previous release'],
    },
  },
  'only-links-are-kept': {
    file: 'tentacle/packages/releases.ts',
    find: ', ...(await this.succeeded())];',
    replace: '];',
    red: {
      file: 'test/packages/kept-releases.test.ts',
      test: ['the same version again changes nothing about what is kept'],
    },
  },
  'package-tickets-not-used-up': {
    file: 'tentacle/packages/used-tickets.ts',
    find: 'if (this.isUsed(key)) return again();',
    replace: 'void again;',
    red: {
      file: 'test/attacks/replayed-orders.test.ts',
      test: ['changes nothing after a later release, before and after a restart'],
    },
  },
  'release-of-another-task': {
    file: 'tentacle/packages/releases.ts',
    find: '?.task === task) return release;',
    replace: ' !== undefined) return release;',
    red: {
      file: 'test/packages/tentacle.test.ts',
      test: ['staging and switching', 'never takes the release of another task, in whatever order two tasks come'],
    },
  },
  'activated-before-verified': {
    file: 'lib/blobs/blob-writer.ts',
    find: 'if (got.sha256 === expected.sha256 && !sizeDiffers) return;',
    replace: 'if (!sizeDiffers) return;',
    red: {
      file: 'test/packages/unpacking.test.ts',
      test: [
        'bytes that are not the right ones',
        'one of the time in the gzip header, which changes nothing inside: nothing is activated, nothing is left, and the right ones of another source are',
      ],
    },
  },
  'unpacked-beyond-the-pin': {
    file: 'tentacle/packages/unpack.ts',
    find: '...(unpackedBytes === undefined ? {} : { maxBytes: unpackedBytes }),',
    replace: '',
    red: {
      file: 'test/packages/unpacking.test.ts',
      test: ['a package that is not what the release pins', 'has a byte more: PACKAGE_BOMB, and nothing is left'],
    },
  },
  'links-before-verified': {
    file: 'lib/archives/visitor.ts',
    find: `await verified?.();
    await this.#writer?.finishFiles(this.#links.all);`,
    replace: `await this.#writer?.finishFiles(this.#links.all);
    await verified?.();`,
    red: {
      file: 'test/packages/archive-links.test.ts',
      test: ['links and devices', 'makes no link before the bytes are verified'],
    },
  },
  'files-through-links': {
    file: 'lib/archives/names.ts',
    find: 'if (before !== undefined && before !== kind) {',
    replace: "if (before !== undefined && before !== kind && before !== 'link') {",
    red: {
      file: 'test/packages/archive-links.test.ts',
      test: ['links and devices', 'tar: a file through a link before it'],
    },
  },
  'gzip-streams-joined': {
    file: 'lib/archives/gzip.ts',
    find: 'at = await skipEmptyStream(',
    replace: 'at = yield* streamAt(',
    red: { file: 'test/packages/lying-archives.test.ts', test: ['gzip', 'one tar in two streams'] },
  },
  'links-judged-alone': {
    file: 'lib/archives/links.ts',
    find: 'if (node?.target === undefined) {',
    replace: "if (node?.target !== '') {",
    red: {
      file: 'test/packages/archive-links.test.ts',
      test: ['links and devices', 'tar: two links that each stay inside and leave together'],
    },
  },
  'local-names-unread': {
    file: 'lib/archives/zip-names.ts',
    find: 'listed.bytes.equals(own.bytes) ?',
    replace: 'listed.bytes.length > 0 ?',
    red: { file: 'test/packages/lying-archives.test.ts', test: ['zip', 'another name that escapes'] },
  },
  'mirrors-in-a-circle': {
    file: 'server/packages/sources.ts',
    find: "requester.role !== 'mirror' || isBefore(",
    replace: "requester.role !== 'server' || isBefore(",
    red: {
      file: 'server/packages/sources.test.ts',
      test: ['sources', 'never lets mirrors wait for each other in a circle'],
    },
  },
  'missing-download-token-denied-unrecorded': {
    file: 'lib/blobs/blob-server.ts',
    find: 'const grant = await this.#origin.authorise(',
    replace: `if (downloadToken === '') return reject(response, 403, 'FORBIDDEN');
    const grant = await this.#origin.authorise(`,
    red: {
      file: 'test/packages/mirror.test.ts',
      test: ['cache-poison', 'no download token is for who issues download tokens to deny'],
    },
  },
  'download-token-for-anyone': {
    file: 'mirror/start.ts',
    find: "const node = peer.role === 'mirror' ?",
    replace: "const node = peer.role === 'tentacle' ?",
    red: {
      file: 'test/packages/tiers.test.ts',
      test: [
        'two tiers of mirrors',
        'gives nothing to who has no download token, another’s, or one for something else',
      ],
    },
  },
  'rotten-blob': {
    file: 'lib/blobs/blob-store.ts',
    find: 'digest === sha256',
    replace: 'true',
    red: {
      file: 'test/packages/mirror.test.ts',
      test: ['wrong bytes', 'that came to be on its disk are dropped, and the next source is asked'],
    },
  },
  'tar-end-optional': {
    file: 'lib/archives/tar.ts',
    find: 'if (!isFirst && block.length < BLOCK_BYTES) throw cutShort();',
    replace: 'if (!isFirst && block.length < BLOCK_BYTES) return undefined;',
    red: { file: 'test/packages/lying-archives.test.ts', test: ['tar', 'no end'] },
  },
  'push-to-old-node': {
    file: 'server/packages/explain-sources.ts',
    find: "because: 'push', bytesPerS: undefined, demoted: undefined, isUsed }",
    replace: "because: 'push', bytesPerS: undefined, demoted: undefined, isUsed: isUsed || true }",
    red: {
      file: 'test/packages/source-order.test.ts',
      test: ['a package that is pushed', 'is not pushed to a version that does not know how'],
    },
  },
  'token-sent-upstream': {
    file: 'lib/blobs/blob-client.ts',
    find: "? { host: connection.host, 'accept-encoding': 'identity' }",
    replace: '? { host: connection.host, authorization: question.downloadToken }',
    red: {
      file: 'test/packages/fetch.test.ts',
      test: ['a source outside the mesh', 'gets no download token, and its bytes count by their digest only'],
    },
  },
  'back-after-one-probe': {
    file: 'lib/blobs/source-states.ts',
    find: 'const GOOD_PROBES = 2;',
    replace: 'const GOOD_PROBES = 1;',
    red: {
      file: 'test/packages/fetch.test.ts',
      test: ['a source that goes last', 'because it fails is back after two good probes in a row'],
    },
  },
  'wrong-bytes-probe-well': {
    file: 'lib/blobs/source-states.ts',
    find: 'return buffer.equals(bytes);',
    replace: 'return buffer.length > 0;',
    red: {
      file: 'test/packages/fetch.test.ts',
      test: ['a source that goes last', 'because it sends wrong bytes is back after two good probes in a row'],
    },
  },
  'denial-proves-bytes': {
    file: 'lib/blobs/source-states.ts',
    find: 'return PROVED_BY_BYTES.has(failure.code) ? undefined : true;',
    replace: 'return PROVED_BY_BYTES.has(failure.code) || true;',
    red: {
      file: 'test/packages/fetch.test.ts',
      test: [
        'a source that goes last',
        'is not made to fetch what it lacks, and wrong bytes are not forgotten by that',
      ],
    },
  },
  'upstream-to-old-node': {
    file: 'server/packages/explain-sources.ts',
    find: "isUsed: source.kind === 'mesh' || takesUpstreams",
    replace: "isUsed: source.kind === 'mesh' || takesUpstreams !== undefined",
    red: {
      file: 'server/packages/explain-sources.test.ts',
      test: ['the sources of a machine', 'outside the mesh are not used by a version that does not know them'],
    },
  },
  'demoted-stays-first': {
    file: 'server/packages/explain-sources.ts',
    find: 'return demoted === undefined ? 0 : 1;',
    replace: 'return demoted === undefined ? 0 : 0;',
    red: {
      file: 'server/packages/explain-sources.test.ts',
      test: [
        'the sources of a machine',
        'are in the order of their measured rates among equals, and last while they are demoted',
      ],
    },
  },
  'tail-served-early': {
    file: 'lib/blobs/growing-file.ts',
    find: 'return Math.min(bytes, withheld);',
    replace: 'return bytes;',
    red: {
      file: 'test/packages/mirror.test.ts',
      test: ['pulling through', 'holds the tail back until the digest has matched'],
    },
  },
  'whole-partial-asked-for': {
    file: 'lib/blobs/fetch.ts',
    find: 'if (target.bytes < sizeBytes) return undefined;',
    replace: 'if (sizeBytes >= 0) return undefined;',
    red: {
      file: 'test/packages/fetch.test.ts',
      test: ['what an earlier download left', 'every byte: no source is needed'],
    },
  },
  'pins-from-before-forgotten': {
    file: 'server/store/migrations/0002-packages.ts',
    find: "p.version = json_extract(pin.value, '$.version')",
    replace: "p.version = json_extract(pin.value, '$.format')",
    red: {
      file: 'test/store/sqlite.test.ts',
      test: ['migrations', 'to packages know which versions the releases from before pin'],
    },
  },
  'trickle-feeds-floor': {
    file: 'lib/blobs/progress-floor.ts',
    find: 'this.#missingBytes -= bytes;',
    replace: 'this.#missingBytes -= this.#missingBytes;',
    red: { file: 'lib/blobs/progress-floor.test.ts', test: ['is below it when too few bytes come, however often'] },
  },
  'starved-mirror-is-silent': {
    file: 'lib/blobs/blob-pump.ts',
    find: 'if (start < end) response.write(',
    replace: 'if (start < 0) response.write(',
    red: {
      file: 'test/packages/mirror.test.ts',
      test: ['pulling through', 'tells its targets that it is there while its source is not: later'],
    },
  },
};
