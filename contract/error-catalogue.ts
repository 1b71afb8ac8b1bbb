// The closed list of error codes. Every code has a paragraph in docs/errors.md, which a test checks.
import { SOFTWARE_ERRORS } from './software-errors.ts';

interface CatalogueEntry {
  /** HTTP status of the problem document that carries this code. */
  readonly http: number;
  /** gRPC status number (https://grpc.io/docs/guides/status-codes/) that carries this code. */
  readonly grpc: number;
  /** What to do about it, as a sentence that names no command: programs read it, too. */
  readonly remedy: string;
}

export const ERROR_CATALOGUE = {
  INTERNAL: { http: 500, grpc: 13, remedy: 'This is a fault in Isthmus; see the log of the node it names.' },
  INVALID_FIELD: { http: 422, grpc: 3, remedy: 'Correct what the message names, then try again.' },
  NOT_FOUND: {
    http: 404,
    grpc: 5,
    remedy: 'Check the spelling, and that it has not been deleted.',
  },
  UNAUTHENTICATED: {
    http: 401,
    grpc: 16,
    remedy: 'Log in with a valid key, or send it as `Authorization: Bearer …`.',
  },
  FORBIDDEN: { http: 403, grpc: 7, remedy: 'Use an identity that is allowed to do this.' },
  UNREACHABLE: { http: 503, grpc: 14, remedy: 'Trace the paths to the node: the first hop that fails is the cause.' },
  DEADLINE_EXCEEDED: { http: 504, grpc: 4, remedy: 'Try again, or allow more time.' },
  CANCELLED: { http: 409, grpc: 1, remedy: 'Nothing to do: it was stopped on request.' },
  RESOURCE_EXHAUSTED: { http: 429, grpc: 8, remedy: 'Send less, or less often.' },
  TUNNEL_SILENT: {
    http: 503,
    grpc: 14,
    remedy: 'Check the relays of the path: their links are up, but one drops what a tunnel carries.',
  },
  RATE_LIMITED: {
    http: 429,
    grpc: 8,
    remedy: 'Check what runs on the peer; revoke the node if somebody else controls it.',
  },
  // Identity.
  IDENTITY_EXISTS: {
    http: 409,
    grpc: 6,
    remedy: 'Use another data folder. A revoked node can join again after you remove the folder `identity` in it.',
  },
  BAD_TASK_SIGNATURE: {
    http: 403,
    grpc: 7,
    remedy:
      'Check the clocks of the server and of the named node; if they are right, look for a forged task in the denials.',
  },
  CA_FINGERPRINT: {
    http: 403,
    grpc: 16,
    remedy:
      'Copy the join command from the server again. If the error comes back, somebody is between you and the server.',
  },
  CLOCK_SKEW: { http: 409, grpc: 9, remedy: 'Set the clock of this machine (NTP), then join again.' },
  CREDENTIAL_UNPROVEN: {
    http: 401,
    grpc: 16,
    remedy: 'Check the node it names: something impersonates it, or two processes run with its data folder.',
  },
  ENROL_STALE: { http: 409, grpc: 9, remedy: 'Start the join again.' },
  IDENTITY_INVALID: {
    http: 500,
    grpc: 13,
    remedy: 'Restore the folder from a backup, or join the node again with a new token.',
  },
  IDENTITY_MISSING: { http: 409, grpc: 9, remedy: 'Join the node first.' },
  JOIN_DNS: {
    http: 400,
    grpc: 14,
    remedy: 'Give the address at which this machine reaches the parent; if it is right, mend the name service here.',
  },
  JOIN_PROXY: {
    http: 400,
    grpc: 9,
    remedy:
      'Unset the proxy variables for this command, or list the address in NO_PROXY: the mesh does not pass HTTP proxies.',
  },
  JOIN_NOT_DIALLED: {
    http: 400,
    grpc: 14,
    remedy:
      'Check that the token is still valid and has the address of this port, that the parent is up, and that the firewalls let it connect to this port.',
  },
  JOIN_TCP: {
    http: 400,
    grpc: 14,
    remedy:
      'Give the address at which this machine reaches the parent; if it is right, open the port in firewalls between.',
  },
  JOIN_TLS: {
    http: 502,
    grpc: 14,
    remedy:
      'Give the address at which this machine reaches the parent; if it is right, see what intercepts TLS between.',
  },
  MASTER_KEY_MISSING: {
    http: 500,
    grpc: 9,
    remedy:
      'Restore the master key file; without it the sealed values cannot be read. Isthmus never creates a new one.',
  },
  MASTER_KEY_WRONG: {
    http: 500,
    grpc: 9,
    remedy: 'Restore the master key that sealed this data. Isthmus never creates a new one.',
  },
  NOT_INITIALISED: { http: 409, grpc: 9, remedy: 'Create the mesh first.' },
  JOIN_UNCONFIRMED: {
    http: 403,
    grpc: 7,
    remedy: 'Wait for the join of the node to finish; if it failed, join the node again.',
  },
  NODE_CLONED: {
    http: 409,
    grpc: 9,
    remedy:
      'Stop the denied process if it is a copy. If it is to be the node, as after a snapshot was restored, let it in.',
  },
  NODE_NOT_CLONED: { http: 409, grpc: 9, remedy: 'Nothing to do: every process of this node was let in.' },
  NODE_REPLACED: {
    http: 409,
    grpc: 9,
    remedy: 'Check on the machine what the task did, then start it again if that is safe.',
  },
  PEER_CERTIFICATE_EXPIRED: {
    http: 401,
    grpc: 16,
    remedy: 'Check both clocks. A node that was off for more than a week must join again.',
  },
  PEER_CERTIFICATE_MISSING: { http: 401, grpc: 16, remedy: 'Join the node first.' },
  PEER_CERTIFICATE_NAME: {
    http: 401,
    grpc: 16,
    remedy: 'Join the node again; only certificates of the mesh authority name a node.',
  },
  PEER_CERTIFICATE_NOT_YET_VALID: { http: 401, grpc: 16, remedy: 'Set the clocks of both machines (NTP).' },
  PEER_CERTIFICATE_REVOKED: {
    http: 403,
    grpc: 16,
    remedy: 'To let it back in, create a token that names it and join again.',
  },
  PEER_CERTIFICATE_UNTRUSTED: {
    http: 401,
    grpc: 16,
    remedy: 'Check that both nodes belong to the same mesh, and that nothing between them intercepts TLS.',
  },
  PEER_CERTIFICATE_USAGE: {
    http: 401,
    grpc: 16,
    remedy: 'Join the node again; certificates of the mesh authority are for both sides of TLS.',
  },
  PEER_CERTIFICATE_WEAK: { http: 401, grpc: 16, remedy: 'Join the node again, with a key of at least 2048 bits.' },
  PEER_UNEXPECTED: {
    http: 401,
    grpc: 16,
    remedy: 'Check the address of the node it names: another node of the mesh answers there.',
  },
  DECRYPT_FAILED: {
    http: 500,
    grpc: 15,
    remedy: 'Restore the data from a backup: the sealed value was changed, moved or sealed under another key.',
  },
  TOKEN_EXPIRED: { http: 403, grpc: 16, remedy: 'Create a new token.' },
  TOKEN_SCOPE: { http: 403, grpc: 7, remedy: 'Use a token for this role, site and name.' },
  TOKEN_UNKNOWN: {
    http: 403,
    grpc: 16,
    remedy: 'Copy the whole join command again, or create a new token.',
  },
  TOKEN_USED: {
    http: 403,
    grpc: 16,
    remedy: 'Create a new token: each lets one node join.',
  },
  // gRPC.
  METHOD_UNKNOWN: { http: 501, grpc: 12, remedy: 'Upgrade the older of the two nodes.' },
  ACCESS_MISSING: { http: 500, grpc: 13, remedy: 'Give the method an access rule: this is a fault in Isthmus.' },

  DIRECTION: {
    http: 403,
    grpc: 7,
    remedy: 'Only the server opens tunnels downwards; check the software of the requesting node.',
  },
  HOP_LIMIT: { http: 422, grpc: 3, remedy: 'Shorten the route: a tunnel crosses at most eight nodes.' },
  E2E_TLS: { http: 502, grpc: 14, remedy: 'Something on the path changed bytes; check the relays of the route.' },
  LINK_DENIED: { http: 403, grpc: 7, remedy: 'Check in the settings of both nodes which is the parent of the other.' },
  LINK_TIMEOUT: { http: 503, grpc: 14, remedy: 'Nothing to do: the link reconnects automatically.' },
  NOT_A_RELAY: { http: 403, grpc: 7, remedy: 'Name only relays in a path.' },
  NO_ROUTE: { http: 422, grpc: 9, remedy: 'Give the node a parent, or the tunnel a path.' },
  PROTOCOL: { http: 502, grpc: 13, remedy: 'The peer does not speak the protocol of the mesh; check what runs there.' },
  ROLE_FORBIDDEN: { http: 403, grpc: 7, remedy: 'Use a node whose role may open this service.' },
  ROUTE_LOOP: { http: 422, grpc: 3, remedy: 'Name each relay at most once in a path.' },
  SERVICE_UNKNOWN: { http: 404, grpc: 12, remedy: 'Check that the node runs the component that has this service.' },
  SESSION_REPLACED: {
    http: 503,
    grpc: 14,
    remedy: 'Nothing to do, unless it repeats: then two processes share one identity.',
  },
  SESSION_UNKNOWN: { http: 503, grpc: 14, remedy: 'Nothing to do: the link is being set up again.' },
  SOURCE_FORGED: {
    http: 403,
    grpc: 7,
    remedy: 'Revoke the node it names, unless its software was changed on purpose.',
  },
  STALE_SESSION: { http: 409, grpc: 9, remedy: 'Stop the other process that uses this identity.' },
  URL_FORBIDDEN: {
    http: 422,
    grpc: 7,
    remedy: 'Give an address that a node of the mesh can have; loopback only where `feedLoopback` allows it.',
  },
  WIRE_VERSION: { http: 426, grpc: 9, remedy: 'Upgrade the older of the two nodes.' },
  PARENT_DIRECTION: {
    http: 422,
    grpc: 9,
    remedy: 'Name the parent without an address, so that the node dials it; or join the node again.',
  },
  PARENT_LOOP: { http: 422, grpc: 9, remedy: 'Choose a parent that is not below the node, or move that parent first.' },
  PARENT_ROLE: { http: 422, grpc: 9, remedy: 'Name a relay, mirror or tentacle of the mesh.' },
  // Packages.
  DISK_FULL: { http: 507, grpc: 8, remedy: 'Free space on the disk of the node it names, then try again.' },
  PACKAGE_BOMB: {
    http: 422,
    grpc: 3,
    remedy: 'Check what the archive unpacks to; leave out what does not belong in it.',
  },
  PACKAGE_ENTRY: {
    http: 422,
    grpc: 3,
    remedy: 'Pack files, folders and links only; leave out devices, pipes and sockets.',
  },
  PACKAGE_EXISTS: { http: 409, grpc: 6, remedy: 'Push the changed package as a new version; versions never change.' },
  PACKAGE_FORMAT: { http: 422, grpc: 3, remedy: 'Push an unencrypted tar.gz, zip or nupkg.' },
  PACKAGE_HASH_MISMATCH: {
    http: 502,
    grpc: 15,
    remedy: 'Nothing was kept; if the error comes back, check the node it names.',
  },
  PACKAGE_LINK: { http: 422, grpc: 3, remedy: 'Pack the file in place of the link; links that stay inside are kept.' },
  PACKAGE_NAME: { http: 422, grpc: 3, remedy: 'Rename the entry, then pack and push again.' },
  PACKAGE_NOT_STAGED: { http: 409, grpc: 9, remedy: 'Stage the package again, then activate it.' },
  PACKAGE_PATH_ESCAPE: { http: 422, grpc: 3, remedy: 'Pack with paths relative to the root of the package.' },
  PACKAGE_UNAVAILABLE: { http: 503, grpc: 14, remedy: 'See why each source failed, and try again when one is back.' },
  SOURCE_FAILED: { http: 502, grpc: 14, remedy: 'See the log of the mirror or server it names.' },
  SOURCE_SLOW: {
    http: 502,
    grpc: 14,
    remedy: 'Look for what else uses the line to this mirror or server, and at its load and disk.',
  },
  // Store and API.
  ALREADY_EXISTS: { http: 409, grpc: 6, remedy: 'Choose another id, or change the one that exists.' },
  ALREADY_INITIALISED: { http: 409, grpc: 6, remedy: 'Start the server with this folder, or name an empty one.' },
  BACKUP_INVALID: {
    http: 422,
    grpc: 15,
    remedy: 'Check the passphrase; if it is right, use another copy of the backup.',
  },
  BODY_TOO_LARGE: { http: 413, grpc: 8, remedy: 'Send a smaller body, within the limit it names.' },
  DATA_DIR_LOCKED: { http: 503, grpc: 14, remedy: 'Stop the process that holds the folder, or use another folder.' },
  FILE_UNUSABLE: {
    http: 500,
    grpc: 9,
    remedy: 'Check that the file and its folder exist, that this account may use them, and that the disk is not full.',
  },
  DATA_DIR_UNUSABLE: {
    http: 503,
    grpc: 9,
    remedy: 'Check that the folder exists and that this account may write in it.',
  },
  PERMISSIONS_UNSAFE: {
    http: 500,
    grpc: 9,
    remedy: 'Restrict it to the account that runs Isthmus, or put a file or folder of its own in its place.',
  },
  IDEMPOTENCY_KEY_REUSED: { http: 422, grpc: 6, remedy: 'Use a new Idempotency-Key for a different request.' },
  IN_USE: { http: 409, grpc: 9, remedy: 'Remove what refers to it first.' },
  LAST_ADMIN: { http: 409, grpc: 9, remedy: 'Create another admin key that lasts as long first, and log in with it.' },
  LOG_GAP: { http: 409, grpc: 11, remedy: 'Send again from the line after the last one that was acknowledged.' },
  ANSWER_MALFORMED: {
    http: 502,
    grpc: 13,
    remedy: 'Check what runs on the node it names; upgrade it, or revoke it if somebody else controls it.',
  },
  LOG_MALFORMED: {
    http: 409,
    grpc: 3,
    remedy: 'Check the tentacle: its software was changed, or its version does not fit the server.',
  },
  LOG_QUOTA: {
    http: 409,
    grpc: 8,
    remedy: 'Let the script write less, or to a file; if it does, check the tentacle, which did not cut the log.',
  },
  MALFORMED_BODY: { http: 400, grpc: 3, remedy: 'Send one well-formed JSON object.' },
  METHOD_NOT_ALLOWED: { http: 405, grpc: 12, remedy: 'See /api/v1/openapi.json for the methods of this path.' },
  ADDRESS_NOT_LOCAL: {
    http: 503,
    grpc: 14,
    remedy: 'Configure an address of this machine to listen on, or [::] for all of them.',
  },
  PORT_FORBIDDEN: {
    http: 503,
    grpc: 14,
    remedy: 'Configure a port from 1024 on, or give the service CAP_NET_BIND_SERVICE.',
  },
  PORT_IN_USE: {
    http: 503,
    grpc: 14,
    remedy: 'Stop the process that listens on that port, or configure another port.',
  },
  PRECONDITION_FAILED: {
    http: 412,
    grpc: 9,
    remedy: 'Read the resource again, and send the change with the new ETag.',
  },
  PRECONDITION_REQUIRED: { http: 428, grpc: 9, remedy: 'Send the ETag that you read as If-Match.' },
  ROUTE_INVALID: {
    http: 422,
    grpc: 3,
    remedy: 'Name existing relays in order, each once, at most 8.',
  },
  SCHEMA_NEWER: {
    http: 503,
    grpc: 9,
    remedy: 'Run the version of Isthmus that last opened this folder, or a newer one.',
  },
  STALE_EPOCH: { http: 409, grpc: 9, remedy: 'Nothing to do: another server node has claimed the task.' },
  TASK_ENDED: { http: 409, grpc: 9, remedy: 'Nothing to do: the task has ended.' },
  UNSUPPORTED_MEDIA_TYPE: { http: 415, grpc: 3, remedy: 'Send `Content-Type: application/json`.' },
  ...SOFTWARE_ERRORS,
  // Settings and the command line.
  CHECK_FAILED: { http: 409, grpc: 9, remedy: 'Correct what it names, then check again.' },
  CONFIG_INVALID: { http: 500, grpc: 9, remedy: 'Correct the setting at the source it names, then start again.' },
  CONFIRMATION_NEEDED: { http: 400, grpc: 9, remedy: 'Confirm it beforehand when there is no terminal to confirm at.' },
  REPARENT_TIMEOUT: {
    http: 504,
    grpc: 4,
    remedy: 'The node keeps trying: see its last error, or set other parents.',
  },
  COMPONENT_FAILED: { http: 500, grpc: 13, remedy: 'Read its log, or start over without the earlier state.' },
  SECRET_ON_ARGV: {
    http: 400,
    grpc: 3,
    remedy: 'Put the secret in a file (0600) and name the file, or give `-` and write it to standard input.',
  },
  SERVER_CLOCK_SKEW: {
    http: 503,
    grpc: 9,
    remedy: 'Set the clock of this machine or of the server; `timedatectl` shows whether it is synchronised.',
  },
  SERVER_UNREACHABLE: {
    http: 503,
    grpc: 14,
    remedy: 'Check the address, and that the server runs.',
  },
  SERVER_WRONG_AUTHORITY: {
    http: 503,
    grpc: 16,
    remedy: 'Give the authority certificate of this mesh, which each of its nodes has.',
  },
  RETRY_IN_PROGRESS: {
    http: 409,
    grpc: 9,
    remedy: 'Follow or cancel the task that the message names; once it has ended, this one can be retried.',
  },
  TASK_NOT_RETRYABLE: {
    http: 409,
    grpc: 9,
    remedy: 'Wait for its end, or cancel it; start a new task for one that succeeded or is too old.',
  },
  TASK_NOT_SUCCESSFUL: {
    http: 409,
    grpc: 10,
    remedy: 'Read its log, and what each machine says.',
  },
  USAGE: { http: 400, grpc: 3, remedy: 'See in its help how the command is used.' },
  // Tentacle: scripts, variables, masking.
  ACCOUNT_UNKNOWN: {
    http: 422,
    grpc: 9,
    remedy: 'Create the account on the machine, or name another one in the step.',
  },
  APPLICATION_MISSING: { http: 409, grpc: 9, remedy: 'Deploy again: the release has been removed.' },
  ENVELOPE_EXPIRED: {
    http: 409,
    grpc: 9,
    remedy: 'Check the clocks of the server and of the named node; run the task again.',
  },
  ENVELOPE_KIND: { http: 400, grpc: 3, remedy: 'Send an envelope of the kind that the call takes.' },
  ENV_NAME_FORBIDDEN: {
    http: 422,
    grpc: 3,
    remedy: 'Rename the variable: it would change what the interpreter loads.',
  },
  INTERPRETER_MISSING: { http: 422, grpc: 9, remedy: 'Install the interpreter on the machine, or use another one.' },
  JOURNAL_DAMAGED: {
    http: 500,
    grpc: 15,
    remedy: 'Keep the data folder for inspection and join the machine again with an empty one.',
  },
  MASK_UNREADABLE: {
    http: 500,
    grpc: 15,
    remedy: 'The log stays on the machine. Find out what changed the files of the tentacle, then run the task again.',
  },
  SCRIPT_INTERRUPTED: {
    http: 500,
    grpc: 10,
    remedy: 'Check on the machine how far the script came, then decide whether to retry the task.',
  },
  SCRIPT_NOT_ENDED: { http: 409, grpc: 9, remedy: 'Wait for the end of the script, or cancel it.' },
  INSTALL_FORBIDDEN: {
    http: 422,
    grpc: 9,
    remedy: 'Name a folder below one of the installRoots of the tentacle, without links on the path; allow it there.',
  },
  INSTALL_IN_USE: {
    http: 409,
    grpc: 9,
    remedy: 'Empty the folder if nothing needs what is in it, or name another one in the step.',
  },
  OWNER_NEEDS_ROOT: {
    http: 422,
    grpc: 9,
    remedy: 'Run the tentacle as root, or leave owner and group out of the step.',
  },
  SCRIPT_USER_UNKNOWN: {
    http: 422,
    grpc: 9,
    remedy: 'Create the user on the machine, or start the tentacle with another script user.',
  },
  SCRIPT_USER_NO_ACCESS: {
    http: 422,
    grpc: 9,
    remedy: 'Let the script user search every folder above the data folder (chmod o+x).',
  },
  SCRIPT_USER_NEEDS_ROOT: { http: 422, grpc: 9, remedy: 'Run the tentacle as root, or as the script user itself.' },
  SENSITIVE_TOO_LARGE: {
    http: 422,
    grpc: 3,
    remedy: 'Keep large secrets out of variables and let the script fetch them.',
  },
  SENSITIVE_TOO_SHORT: { http: 422, grpc: 3, remedy: 'Use a longer value, or do not mark it as sensitive.' },
  SPAWN_FAILED: { http: 500, grpc: 9, remedy: 'See the detail: the operating system refused to start the process.' },
  TICKET_ALREADY_USED: { http: 409, grpc: 6, remedy: 'Nothing to do: this ticket has run and is completed.' },
  TICKET_TOO_OLD: {
    http: 409,
    grpc: 9,
    remedy: 'Run the task again: this ticket is older than the tentacle’s records.',
  },
  TICKET_UNKNOWN: { http: 404, grpc: 5, remedy: 'Nothing to do: the tentacle never received this ticket.' },
  TIME_LIMIT: { http: 504, grpc: 4, remedy: 'Allow the step more time, or find out why it takes so long.' },
  VARIABLE_CYCLE: {
    http: 422,
    grpc: 3,
    remedy: 'Break the cycle that the message names, and create a release with it.',
  },
  VARIABLE_SYNTAX: {
    http: 422,
    grpc: 3,
    remedy: 'Correct what the message names, and close every #{if}, #{unless} and #{each}; write ##{ for a literal #{.',
  },
  VARIABLE_TOO_LARGE: { http: 422, grpc: 3, remedy: 'Make the variables smaller, or nest them less.' },
  WRONG_RECIPIENT: {
    http: 403,
    grpc: 7,
    remedy: 'The order was signed for another tentacle; look for a misrouted or replayed call.',
  },
  // Tasks and deployments.
  MIRROR_UNSUPPORTED: { http: 409, grpc: 9, remedy: 'Upgrade the software of the mirror, then try again.' },
  EARLIER_STEP_FAILED: { http: 409, grpc: 9, remedy: 'See what the step before says.' },
  MACHINES_FAILED: { http: 409, grpc: 10, remedy: 'See what each machine says.' },
  MACHINE_DISABLED: { http: 409, grpc: 9, remedy: 'Enable the machine, or leave it out.' },
  MACHINE_REVOKED: {
    http: 409,
    grpc: 9,
    remedy: 'Nothing reaches it until it has joined again; check on the node itself how far a task came.',
  },
  MACHINE_UNHEALTHY: { http: 409, grpc: 9, remedy: 'Correct on the machine what the detail names.' },
  TICKET_MISMATCH: {
    http: 502,
    grpc: 7,
    remedy: 'The named tentacle answered for another machine’s ticket; check its software, or revoke it.',
  },
  NO_TARGETS: {
    http: 422,
    grpc: 9,
    remedy: 'Give a machine the environment and one of the target roles, or correct the request.',
  },
  RELEASE_EXISTS: { http: 409, grpc: 6, remedy: 'Releases never change: choose another version.' },
  SCOPE_MISMATCH: { http: 422, grpc: 3, remedy: 'Choose a scope whose parts belong together, or correct the machine.' },
  SITES_NOT_READY: {
    http: 504,
    grpc: 4,
    remedy: 'Allow the deployment more time, deploy without waiting, or see what the warming of the release says.',
  },
  SCRIPT_FAILED: { http: 409, grpc: 10, remedy: 'Read the log of the script: it ended with the exit code given.' },
  SUBSTITUTION_ENCODING: {
    http: 422,
    grpc: 9,
    remedy: 'Save the file in an encoding that has all characters, such as UTF-8, or give the variable another value.',
  },
  TASK_DEADLINE: { http: 504, grpc: 4, remedy: 'Allow the task more time, or see in its log what it waited for.' },
  TEXT_INVALID: { http: 422, grpc: 3, remedy: 'Save the file as UTF-8, or give the right file.' },
  VARIABLE_NAME: {
    http: 422,
    grpc: 3,
    remedy: 'Choose another name.',
  },
  VARIABLE_UNDEFINED: {
    http: 422,
    grpc: 9,
    remedy: 'Define the variable for that machine and environment, and create a release with it.',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** Whether a string is a code of the catalogue. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CATALOGUE, code);
}
