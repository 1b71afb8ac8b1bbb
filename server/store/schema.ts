// The tables, as Kysely sees them. Times are milliseconds since 1970; `*_json` columns hold JSON text; `sealed`
// columns hold AES-256-GCM envelopes under the master key, with the row's identity as associated data.
// A new table or column needs a new migration in migrations/, its type here, and its repository in a folder beside.
import type { Generated } from 'kysely';
import type { ApiRole } from '../../contract/api-keys.ts';
import type { JoinRole } from '../../contract/join-tokens.ts';
import type { Health } from '../../contract/machines.ts';
import type { NodeRole, NodeState } from '../../contract/nodes.ts';
import type { PackageFormat } from '../../contract/packages.ts';
import type { LineEnding, MessageLevel } from '../../contract/task-stream.ts';
import type { TaskState, TicketState } from '../../contract/tasks.ts';

export interface Schema {
  settings: { key: string; value: string };
  sites: { id: string; name: string; description: string; version: number; created_at: number };
  environments: { id: string; name: string; description: string; sort: number; version: number; created_at: number };
  nodes: NodeTable;
  join_tokens: JoinTokenTable;
  certificates: { serial: string; node: string; not_before: number; not_after: number; issued_at: number };
  machines: MachineTable;
  machine_environments: { machine: string; environment: string };
  machine_target_roles: { machine: string; role: string };
  projects: ProjectTable;
  variables: VariableTable;
  /** Where a variable applies: for each dimension that has rows, one of the values must match. */
  variable_scopes: { variable: string; dimension: ScopeDimension; value: string };
  packages: PackageTable;
  /** The versions that people pinned at mirrors. */
  mirror_pins: { mirror: string; id_key: string; version_key: string };
  releases: ReleaseTable;
  /** The package versions that a release pins: `releases.packages_json`, by the keys of `packages`. */
  release_packages: { release: string; step: string; id_key: string; version_key: string };
  deployments: DeploymentTable;
  tasks: TaskTable;
  tickets: TicketTable;
  /** `seq` is the line's number in the task's stream, which messages and states share: see `tasks.stream_seq`. */
  log_lines: {
    ticket: string;
    line: number;
    task: string;
    seq: number;
    at: number;
    stream: string;
    text: string;
    ending: LineEnding;
  };
  task_events: TaskEventTable;
  events: AuditTable;
  denials: AuditTable;
  /** Links and nodes whose loss is recorded, and not yet their return. */
  outages: { subject: string; since: number };
  /** How far each subscription has read `events.seq`. */
  event_subscriptions: { name: string; position: number };
  api_keys: ApiKeyTable;
  idempotency_keys: IdempotencyTable;
  installed_releases: InstalledReleaseTable;
  package_sources: PackageSourceTable;
}

/** Lists are JSON. One of `url` and `node` is set, as `kind` says. */
interface PackageSourceTable {
  id: string;
  kind: 'upstream' | 'mesh';
  url: string | null;
  node: string | null;
  machines_json: string;
  sites_json: string;
  networks_json: string;
  version: number;
  created_at: number;
}

interface NodeTable {
  id: string;
  role: NodeRole;
  site: string | null;
  /** Parent[] in order of preference; empty for servers. */
  parents_json: string;
  /** DesiredParents, as JSON, until the node has moved. */
  desired_parents_json: string | null;
  /** Of a relay, as host:port: where its join token says that its children dial it. */
  address: string | null;
  state: NodeState;
  certificate_not_after: number | null;
  software_version: string | null;
  feed_url: string | null;
  /** The latest NodeReport, as JSON. */
  report_json: string | null;
  last_seen_at: number | null;
  revoked_at: number | null;
  /** Hex. */
  start_nonce: string | null;
  /** DeniedStart, as JSON. */
  denied_starts_json: string | null;
  reactivated_at: number | null;
  journal_generation: number;
  version: number;
  created_at: number;
}

interface JoinTokenTable {
  id: string;
  /** SHA-256 of the secret, sealed: the key of the proof. */
  proof_key_sealed: string;
  role: JoinRole;
  site: string;
  name: string | null;
  /** Parent[] in order of preference. */
  parents_json: string;
  environments_json: string;
  target_roles_json: string;
  routes_json: string | null;
  address: string | null;
  expires_at: number;
  /** SHA-256 of the SPKI that enrolled with it, so that the same key may try again. */
  bound_spki_sha256: string | null;
  bound_node: string | null;
  used_at: number | null;
  created_by: string;
  created_at: number;
}

interface MachineTable {
  /** The id of its tentacle's node. */
  id: string;
  name: string;
  site: string;
  /** MachineRoute[] in order of preference. */
  routes_json: string;
  disabled: number;
  health: Health;
  health_json: string | null;
  health_at: number | null;
  thresholds_json: string | null;
  version: number;
  created_at: number;
}

interface ProjectTable {
  id: string;
  name: string;
  description: string;
  /** ProcessStep[] in order. */
  process_json: string;
  /** Null: never. */
  warm_json: string | null;
  version: number;
  created_at: number;
}

interface VariableTable {
  id: string;
  project: string;
  name: string;
  /** Null when sensitive. */
  value: string | null;
  value_sealed: string | null;
  version: number;
  created_at: number;
}

/** The dimensions by which a variable's value may differ. */
export type ScopeDimension = 'environment' | 'target-role' | 'machine';

interface PackageTable {
  /** Package id, as its owner spells it. */
  id: string;
  /** Lower-case id, with `version_key` the key. */
  id_key: string;
  version: string;
  version_key: string;
  sha256: string;
  size_bytes: number;
  format: PackageFormat;
  published_at: number;
  /** Null where it cannot be unpacked, or was pushed to a version that did not measure it. */
  unpacked_bytes: number | null;
  entries: number | null;
  /** Of a package that is one file on a machine; null for others. */
  file_name: string | null;
  /** Of what is inside a tar.gz. Null: not examined yet, too large for deltas, or another format. */
  tar_sha256: string | null;
  tar_bytes: number | null;
  /** JSON: how the same gzip is made again of the tar, or null where nothing does it. Null: not examined yet. */
  gzip_recipe: string | null;
}

interface ReleaseTable {
  id: string;
  project: string;
  version: string;
  /** With `project` the key. */
  version_key: string;
  notes: string;
  /** The process as it was when the release was created. */
  process_json: string;
  /** PinnedPackage[]: step, id, version, sha256, sizeBytes, format. */
  packages_json: string;
  /** The variables as they were, sensitive values sealed. */
  variables_json: string;
  created_at: number;
}

interface TaskTable {
  id: string;
  /** The name of its registered kind. */
  kind: string;
  title: string;
  state: TaskState;
  payload_json: string;
  /** Tasks with the same key run one at a time, in the order of `concurrency_seq`. Null: it waits for none. */
  concurrency_key: string | null;
  /** Rises by one per task of the key; null without a key. */
  concurrency_seq: number | null;
  project: string | null;
  environment: string | null;
  deadline_at: number;
  /** The time that the request allows: from its acceptance to `deadline_at`, unless the clock was set since. */
  deadline_s: number;
  lease_owner: string | null;
  lease_until: number | null;
  /** Rises at each claim; every write of a task's owner carries it. */
  epoch: number;
  /** The last number used in the task's stream of log lines, messages and states; rises by one per entry. */
  stream_seq: number;
  cancel_requested_at: number | null;
  created_by: string;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  error_code: string | null;
  error_detail: string | null;
}

interface TicketTable {
  id: string;
  task: string;
  step: number;
  /** As named by the task's kind or by the type of its step: script, acquire, stage, health … */
  action: string;
  /** The machine that the step runs for. */
  target: string;
  /** The tentacle that runs it: the target's own, or another one on the target's behalf. */
  executor: string;
  attempt: number;
  state: TicketState;
  exit_code: number | null;
  signal: number | null;
  error_code: string | null;
  error_detail: string | null;
  /** Hop at which error_code arose. */
  error_hop: string | null;
  stored_line: number;
  detail_json: string | null;
  created_at: number;
  started_at: number | null;
  /** That of its executor when it was sent. */
  journal_generation: number | null;
  ended_at: number | null;
  /** When the tentacle learned that everything is stored. */
  completed_at: number | null;
}

/** What the server itself adds to a task's stream: messages (waiting, progress, failures) and changes of state. */
interface TaskEventTable {
  task: string;
  seq: number;
  at: number;
  kind: 'message' | 'state';
  machine: string | null;
  ticket: string | null;
  level: MessageLevel;
  code: string | null;
  text: string;
  data_json: string | null;
}

interface ApiKeyTable {
  id: string;
  name: string;
  role: ApiRole;
  /** SHA-256 of the secret, hex. */
  hash: string;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
  /** An API key's id, or 'system'. */
  created_by: string;
}

interface DeploymentTable {
  id: string;
  project: string;
  /** The release's id, and its version, which stays when the release is deleted. */
  release: string;
  version: string;
  environment: string;
  task: string;
  created_at: number;
}

/** The current release per machine, project, environment and step. */
interface InstalledReleaseTable {
  machine: string;
  project: string;
  environment: string;
  step: string;
  release: string;
  /** The one before that succeeded. */
  previous_release: string | null;
  /** Of the package. */
  version: string;
  sha256: string;
  activated_at: number;
  succeeded_at: number | null;
}

/** Events and denials have one form. */
interface AuditTable {
  seq: Generated<number>;
  at: number;
  /** api-key id, node id, or 'system' */
  actor: string;
  /** An EventType or a DenialType: contract/events.ts. */
  type: string;
  subject_kind: string;
  subject: string;
  data_json: string;
}

interface IdempotencyTable {
  key: string;
  api_key: string;
  request_sha256: string;
  status: number | null;
  body: string | null;
  location: string | null;
  created_at: number;
}
