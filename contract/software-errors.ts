// The part of the error catalogue that is about the software of a host and its upgrades.

export const SOFTWARE_ERRORS = {
  NOT_ROOT: { http: 403, grpc: 7, remedy: 'Run the command as root.' },
  SERVICE_NOT_CONNECTED: {
    http: 503,
    grpc: 14,
    remedy: 'Mend what it names; the service goes on trying, also after a restart of the machine.',
  },
  SERVICE_NOT_INSTALLED: { http: 404, grpc: 5, remedy: 'Install the service first.' },
  SERVICE_START_FAILED: { http: 500, grpc: 9, remedy: 'See what the journal of the unit says.' },
  SERVICE_UNSUPPORTED: {
    http: 409,
    grpc: 9,
    remedy: 'Start the component by what starts services on this machine, or by hand.',
  },
  SOFTWARE_ARCHITECTURE: { http: 422, grpc: 9, remedy: 'Take the tarball for the architecture of the host.' },
  SOFTWARE_DAMAGED: { http: 422, grpc: 15, remedy: 'Copy the tarball again, from where it was built.' },
  SOFTWARE_EXISTS: {
    http: 409,
    grpc: 6,
    remedy: 'Build the changed software as a new version: what a version is never changes.',
  },
  SOFTWARE_KEYS_MISSING: {
    http: 409,
    grpc: 9,
    remedy: 'Compare the fingerprint of the release key with the builder’s, then trust it on the host.',
  },
  SOFTWARE_NOT_LISTED: {
    http: 422,
    grpc: 9,
    remedy: 'Give the tarball the name that it was built with, and take the list that was built with it.',
  },
  SOFTWARE_SIGNATURE_WRONG: {
    http: 422,
    grpc: 7,
    remedy: 'Do not install it: somebody changed it, or it was built with a key that is not trusted here.',
  },
  SOFTWARE_UNSIGNED: {
    http: 422,
    grpc: 9,
    remedy: 'Put SHA256SUMS and SHA256SUMS.sig beside the tarball, as they were built with it.',
  },
  UPGRADE_BUSY: { http: 409, grpc: 9, remedy: 'Wait for the end of the other change, then try again.' },
  UPGRADE_CANARY_UNREACHABLE: {
    http: 409,
    grpc: 14,
    remedy: 'Choose another canary, or name none: then the first node that answers is upgraded first.',
  },
  UPGRADE_DOWNGRADE: {
    http: 409,
    grpc: 9,
    remedy: 'Nothing to do, if the host runs what it should; a lower version is installed by hand, on the host.',
  },
  UPGRADE_JOURNAL_UNREADABLE: {
    http: 500,
    grpc: 15,
    remedy: 'See on the host which version is current, delete the file, then install the wanted version again.',
  },
  UPGRADE_NOT_CONFIRMED: {
    http: 409,
    grpc: 10,
    remedy: 'Check that the server reaches the node, and what its health checks find, then upgrade again.',
  },
  UPGRADE_NOT_CONNECTED: {
    http: 409,
    grpc: 14,
    remedy: 'See in its log why the new version did not connect, then upgrade again.',
  },
  UPGRADE_NOT_TAKEN: {
    http: 409,
    grpc: 9,
    remedy: 'See on the host why its unit isthmus-upgrade.service does not start.',
  },
  UPGRADE_SERVER_FIRST: { http: 409, grpc: 9, remedy: 'Upgrade the server first, on its host.' },
  UPGRADE_START_FAILED: {
    http: 409,
    grpc: 9,
    remedy: 'Correct what the component says, or take a version that starts here.',
  },
  UPGRADE_STOPPED: {
    http: 409,
    grpc: 9,
    remedy: 'Mend the node that failed, then upgrade again: nodes that have the version stay as they are.',
  },
  UPGRADE_UNSUPPORTED: { http: 409, grpc: 9, remedy: 'Upgrade the host by the means that it was installed by.' },
} as const;
