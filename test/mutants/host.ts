// Mutants of what looks after the software and the services of a machine.
import type { Mutants } from './mutant.ts';

export const hostMutants: Mutants = {
  'status-of-a-link': {
    file: 'host/status.ts',
    find: 'readBelow(dataDir, [FILE_NAME], MAX_BYTES)',
    replace: 'readFileSync(join(dataDir, FILE_NAME))',
    also: [
      {
        file: 'host/status.ts',
        find: "import { join } from 'node:path';",
        replace: "import { readFileSync } from 'node:fs'; import { join } from 'node:path';",
      },
    ],
    red: { file: 'host/status.test.ts', test: ['a link, a large file and what is no status are not believed'] },
  },
  'data-folder-through-a-link': {
    file: 'host/services/data-folder.ts',
    find: 'constants.O_RDONLY | constants.O_NOFOLLOW |',
    replace: 'constants.O_RDONLY |',
    red: {
      file: 'host/services/data-folder.test.ts',
      test: ['a data folder', 'gives no file away that a link in it leads to, or that has another name'],
    },
  },
  'hard-link-given-away': {
    file: 'host/services/data-folder.ts',
    find: 'stats.nlink > 1',
    replace: 'stats.nlink > 2',
    red: {
      file: 'host/services/data-folder.test.ts',
      test: ['a data folder', 'gives no file away that a link in it leads to, or that has another name'],
    },
  },
  'root-in-the-folder-of-others': {
    file: 'lib/files/as-owner.ts',
    find: 'process.seteuid!(owner.uid);',
    replace: '',
    red: {
      file: 'lib/files/as-owner.test.ts',
      test: [
        'as the owner of a folder, root',
        'reads nothing through a link that the owner could not read, and creates files of the owner',
      ],
    },
  },
  'service-by-an-old-status': {
    file: 'host/services/service.ts',
    find: 'status?.pid === state.pid ? status : undefined',
    replace: 'status',
    red: { file: 'host/services/install.test.ts', test: ['a service', 'is not what another process has written'] },
  },
  'service-error-of-an-older-start': {
    file: 'host/services/service.ts',
    find: 'systemd.lastError(unit, { invocation })',
    replace: 'systemd.lastError(unit, { sinceMs: 0 })',
    red: {
      file: 'host/services/install.test.ts',
      test: ['a service', 'that ends is told of by all that its component said at this start, and by nothing older'],
    },
  },
  'service-account-checked-too-late': {
    file: 'host/services/install.ts',
    find: '(await findUser(scriptUser)) === undefined',
    replace: "scriptUser === ''",
    red: {
      file: 'host/services/install.test.ts',
      test: ['a service', 'whose account for scripts is missing is none, and leaves nothing'],
    },
  },
  'service-crashes-counted-for-ever': {
    file: 'host/services/systemd.ts',
    find: "'reset-failed', unit",
    replace: "'is-failed', unit",
    red: {
      file: 'host/services/install.test.ts',
      test: ['a service', 'is linked, started and connected; installed again, nothing is started anew'],
    },
  },
  'service-left-half-installed': {
    file: 'host/services/install.ts',
    find: "if (isFirst && error.code === 'SERVICE_START_FAILED')",
    replace: "if (isFirst && error.code === 'SERVICE_NOT_CONNECTED')",
    red: {
      file: 'host/services/install.test.ts',
      test: ['a service', 'that ends right after its first start is taken away, with what its component said'],
    },
  },
  'unit-of-somebody-replaced': {
    file: 'host/services/units.ts',
    find: 'undefined || isLinkTo(link, file)) return;',
    replace: 'undefined || true) return;',
    red: { file: 'host/services/install.test.ts', test: ['a service', 'does not replace a unit that somebody wrote'] },
  },
  'status-floods-the-disk': {
    file: 'host/status.ts',
    find: 'if (!this.#writes.take()) return;',
    replace: '',
    red: { file: 'host/status.test.ts', test: ['a link that flaps costs few writes, and the last state is written'] },
  },
  'known-good-before-confirmation': {
    file: 'host/versions/change.ts',
    find: 'await setLink(host.layout.current, change.to);',
    replace: 'await setLink(host.layout.current, change.to); await setLink(host.layout.knownGood, change.to);',
    red: {
      file: 'test/host/upgrade.test.ts',
      test: ['an order', 'that is stopped while it waits goes on with the next run'],
    },
  },
  'host-does-not-go-back': {
    file: 'host/versions/change.ts',
    find: 'await setLink(host.layout.current, subject.from);',
    replace: '',
    red: {
      file: 'test/host/versions.test.ts',
      test: ['a version that does not work', 'since it crashes: the old one runs again'],
    },
  },
  'foreign-copy-taken-back': {
    file: 'host/disk/database.ts',
    find: 'before[name] !== at && ',
    replace: '',
    red: {
      file: 'test/host/versions.test.ts',
      test: [
        'a version that does not work',
        'and that has migrated nothing: a copy from before 0002-more stays where it is',
      ],
    },
  },
  'unreadable-journal-is-none': {
    file: 'host/versions/journal.ts',
    find: "if (errnoOf(cause) === 'ENOENT') return undefined;",
    replace: 'return undefined;',
    red: {
      file: 'test/host/versions.test.ts',
      test: ['what leaves everything as it was', 'a journal that is damaged'],
    },
  },
  'end-of-the-first-order-lost': {
    file: 'host/versions/begin.ts',
    find: '...change, ...kept,',
    replace: '...change,',
    red: {
      file: 'test/host/upgrade.test.ts',
      test: [
        'two nodes of a host that order at the same time',
        'have their orders carried out one after the other, and each learns its own end',
      ],
    },
  },
  'key-trusted-before-the-tree': {
    file: 'host/versions/install.ts',
    find: 'const { confirmWithinS = CONFIRM_WITHIN_S, onVerified } = options;',
    replace: 'const { confirmWithinS = CONFIRM_WITHIN_S, onVerified } = options; await onVerified?.();',
    red: {
      file: 'test/host/install-sh.test.ts',
      test: ['a release key', 'is not trusted where the tree is damaged'],
    },
  },
  'upgrader-units-not-read-again': {
    file: 'host/versions/change.ts',
    find: 'await services.reload();',
    replace: '',
    red: { file: 'test/host/kills.test.ts', test: ['killed at every step of', 'a version that works'] },
  },
  'uninstalled-beside-the-upgrader': {
    file: 'host/versions/uninstall.ts',
    find: 'for (const unit of UPGRADER_UNITS) await systemd.stop(unit);',
    replace: '',
    red: {
      file: 'test/host/versions.test.ts',
      test: [
        'uninstalling',
        'stops the upgrader before anything is removed, and nobody changes the version until the end',
      ],
    },
  },
  'uninstalled-without-the-lock': {
    file: 'host/versions/uninstall.ts',
    find: '.filter((name) => !LOCK_FILES.includes(name))',
    replace: '.sort((a, b) => Number(LOCK_FILES.includes(b)) - Number(LOCK_FILES.includes(a)))',
    red: {
      file: 'test/host/kills.test.ts',
      test: [
        'killed at every step of',
        'an uninstallation, which has the lock until nothing else is left, and can be done again',
      ],
    },
  },
  'bad-order-stops-the-others': {
    file: 'host/versions/change.ts',
    find: "onProblem(IsthmusError.from(thrown, 'FILE_UNUSABLE'));",
    replace: "onProblem(IsthmusError.from(thrown, 'FILE_UNUSABLE')); throw thrown;",
    red: {
      file: 'test/host/upgrade.test.ts',
      test: ['a folder in the place of a file stops no other order, and no change by hand'],
    },
  },
  'version-installed-unverified': {
    file: 'host/disk/staging.ts',
    find: 'await verifyFiles(filled);',
    replace: '',
    red: {
      file: 'test/host/versions.test.ts',
      test: ['what leaves everything as it was', 'a file that changed'],
    },
  },
  'link-missing-for-a-moment': {
    file: 'host/disk/links.ts',
    find: 'await rename(temporary, link);',
    replace: 'await rm(link, { force: true }); await rename(temporary, link);',
    red: { file: 'test/host/kills.test.ts', test: ['killed at every step of', 'a version that works'] },
  },
  'order-with-another-digest': {
    file: 'host/versions/upgrade.ts',
    find: "if (hash.digest('hex') === sha256) return;",
    replace: 'return;',
    red: {
      file: 'test/host/upgrade.test.ts',
      test: ['is not installed, and the journal says why:', 'what changed after it was signed'],
    },
  },
  'order-to-the-same-version': {
    file: 'host/versions/upgrade.ts',
    find: 'compareVersions(version, from) <= 0',
    replace: 'compareVersions(version, from) < 0',
    red: {
      file: 'test/host/upgrade.test.ts',
      test: ['is not installed, and the journal says why:', 'a version that is not higher'],
    },
  },
  'order-through-a-link': {
    file: 'host/no-links.ts',
    find: 'FOLDER | constants.O_NOFOLLOW',
    replace: 'FOLDER',
    red: {
      file: 'host/orders.test.ts',
      test: ['root follows no link of a node', 'in the place of the folder of the order'],
    },
  },
  'migrated-without-a-copy': {
    file: 'server/store/migrations/migrate.ts',
    find: 'if (applied.length > 0 && missing !== undefined) await beforeChange(missing);',
    replace: '',
    red: {
      file: 'test/store/sqlite.test.ts',
      test: ['migrations', 'of a database that has data leave a copy from before, and one only'],
    },
  },
};
