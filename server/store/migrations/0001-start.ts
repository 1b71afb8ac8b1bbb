// Migration 1: every table of the first release. Never edited once released; a change is a new migration.
import { sql } from 'kysely';
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Column kinds: `text`, `text?` (nullable), and times or counters as `int`, `int?`. */
type ColumnKind = 'text' | 'text?' | 'int' | 'int?';

interface TableSpec {
  readonly name: string;
  readonly columns: Readonly<Record<string, ColumnKind>>;
  readonly key: readonly string[];
  readonly unique?: readonly (readonly string[])[];
  readonly references?: Readonly<Record<string, string>>;
}

const TABLES: readonly TableSpec[] = [
  { name: 'settings', columns: { key: 'text', value: 'text' }, key: ['key'] },
  {
    name: 'sites',
    columns: { id: 'text', name: 'text', description: 'text', version: 'int', created_at: 'int' },
    key: ['id'],
  },
  {
    name: 'environments',
    columns: { id: 'text', name: 'text', description: 'text', sort: 'int', version: 'int', created_at: 'int' },
    key: ['id'],
  },
  {
    name: 'nodes',
    columns: {
      id: 'text',
      role: 'text',
      site: 'text?',
      parents_json: 'text',
      desired_parents_json: 'text?',
      address: 'text?',
      state: 'text',
      certificate_not_after: 'int?',
      software_version: 'text?',
      feed_url: 'text?',
      report_json: 'text?',
      last_seen_at: 'int?',
      revoked_at: 'int?',
      start_nonce: 'text?',
      denied_starts_json: 'text?',
      reactivated_at: 'int?',
      journal_generation: 'int',
      version: 'int',
      created_at: 'int',
    },
    key: ['id'],
    references: { site: 'sites.id' },
  },
  {
    name: 'join_tokens',
    columns: {
      id: 'text',
      proof_key_sealed: 'text',
      role: 'text',
      site: 'text',
      name: 'text?',
      parents_json: 'text',
      environments_json: 'text',
      target_roles_json: 'text',
      routes_json: 'text?',
      address: 'text?',
      expires_at: 'int',
      bound_spki_sha256: 'text?',
      bound_node: 'text?',
      used_at: 'int?',
      created_by: 'text',
      created_at: 'int',
    },
    key: ['id'],
    references: { site: 'sites.id' },
  },
  {
    name: 'certificates',
    columns: { serial: 'text', node: 'text', not_before: 'int', not_after: 'int', issued_at: 'int' },
    key: ['serial'],
  },
  {
    name: 'machines',
    columns: {
      id: 'text',
      name: 'text',
      site: 'text',
      routes_json: 'text',
      disabled: 'int',
      health: 'text',
      health_json: 'text?',
      health_at: 'int?',
      thresholds_json: 'text?',
      version: 'int',
      created_at: 'int',
    },
    key: ['id'],
    references: { id: 'nodes.id', site: 'sites.id' },
  },
  {
    name: 'machine_environments',
    columns: { machine: 'text', environment: 'text' },
    key: ['machine', 'environment'],
    references: { machine: 'machines.id', environment: 'environments.id' },
  },
  {
    name: 'machine_target_roles',
    columns: { machine: 'text', role: 'text' },
    key: ['machine', 'role'],
    references: { machine: 'machines.id' },
  },
  {
    name: 'projects',
    columns: {
      id: 'text',
      name: 'text',
      description: 'text',
      process_json: 'text',
      version: 'int',
      created_at: 'int',
    },
    key: ['id'],
  },
  {
    name: 'variables',
    columns: {
      id: 'text',
      project: 'text',
      name: 'text',
      value: 'text?',
      value_sealed: 'text?',
      version: 'int',
      created_at: 'int',
    },
    key: ['id'],
    references: { project: 'projects.id' },
  },
  {
    name: 'variable_scopes',
    columns: { variable: 'text', dimension: 'text', value: 'text' },
    key: ['variable', 'dimension', 'value'],
    references: { variable: 'variables.id' },
  },
  {
    name: 'packages',
    columns: {
      id: 'text',
      id_key: 'text',
      version: 'text',
      version_key: 'text',
      sha256: 'text',
      size_bytes: 'int',
      format: 'text',
      published_at: 'int',
    },
    key: ['id_key', 'version_key'],
  },
  {
    name: 'releases',
    columns: {
      id: 'text',
      project: 'text',
      version: 'text',
      version_key: 'text',
      notes: 'text',
      process_json: 'text',
      packages_json: 'text',
      variables_json: 'text',
      created_at: 'int',
    },
    key: ['id'],
    unique: [['project', 'version_key']],
    references: { project: 'projects.id' },
  },
  {
    name: 'tasks',
    columns: {
      id: 'text',
      kind: 'text',
      title: 'text',
      state: 'text',
      payload_json: 'text',
      concurrency_key: 'text?',
      concurrency_seq: 'int?',
      project: 'text?',
      environment: 'text?',
      deadline_at: 'int',
      deadline_s: 'int',
      lease_owner: 'text?',
      lease_until: 'int?',
      epoch: 'int',
      stream_seq: 'int',
      cancel_requested_at: 'int?',
      created_by: 'text',
      created_at: 'int',
      started_at: 'int?',
      ended_at: 'int?',
      error_code: 'text?',
      error_detail: 'text?',
    },
    key: ['id'],
    unique: [['concurrency_key', 'concurrency_seq']],
  },
  {
    name: 'deployments',
    columns: {
      id: 'text',
      project: 'text',
      release: 'text',
      version: 'text',
      environment: 'text',
      task: 'text',
      created_at: 'int',
    },
    key: ['id'],
    // They are history, which outlives its project, release and environment.
    references: { task: 'tasks.id' },
  },
  {
    name: 'tickets',
    columns: {
      id: 'text',
      task: 'text',
      step: 'int',
      action: 'text',
      target: 'text',
      executor: 'text',
      attempt: 'int',
      state: 'text',
      exit_code: 'int?',
      signal: 'int?',
      error_code: 'text?',
      error_detail: 'text?',
      error_hop: 'text?',
      stored_line: 'int',
      detail_json: 'text?',
      created_at: 'int',
      started_at: 'int?',
      journal_generation: 'int?',
      ended_at: 'int?',
      completed_at: 'int?',
    },
    key: ['id'],
    unique: [['task', 'step', 'action', 'target', 'attempt']],
    references: { task: 'tasks.id' },
  },
  {
    name: 'log_lines',
    columns: {
      ticket: 'text',
      line: 'int',
      task: 'text',
      seq: 'int',
      at: 'int',
      stream: 'text',
      text: 'text',
      ending: 'text',
    },
    key: ['ticket', 'line'],
    references: { ticket: 'tickets.id' },
  },
  {
    name: 'task_events',
    columns: {
      task: 'text',
      seq: 'int',
      at: 'int',
      kind: 'text',
      machine: 'text?',
      ticket: 'text?',
      level: 'text',
      code: 'text?',
      text: 'text',
      data_json: 'text?',
    },
    key: ['task', 'seq'],
    references: { task: 'tasks.id' },
  },
  {
    name: 'api_keys',
    columns: {
      id: 'text',
      name: 'text',
      role: 'text',
      hash: 'text',
      created_at: 'int',
      expires_at: 'int?',
      revoked_at: 'int?',
      created_by: 'text',
    },
    key: ['id'],
  },
  {
    name: 'idempotency_keys',
    columns: {
      key: 'text',
      api_key: 'text',
      request_sha256: 'text',
      status: 'int?',
      body: 'text?',
      location: 'text?',
      created_at: 'int',
    },
    key: ['api_key', 'key'],
  },
  { name: 'outages', columns: { subject: 'text', since: 'int' }, key: ['subject'] },
  { name: 'event_subscriptions', columns: { name: 'text', position: 'int' }, key: ['name'] },
  {
    name: 'installed_releases',
    columns: {
      machine: 'text',
      project: 'text',
      environment: 'text',
      step: 'text',
      release: 'text',
      previous_release: 'text?',
      version: 'text',
      sha256: 'text',
      activated_at: 'int',
      succeeded_at: 'int?',
    },
    key: ['machine', 'project', 'environment', 'step'],
  },
];

const INDEXES: readonly { name: string; table: string; columns: readonly string[]; where?: string }[] = [
  { name: 'tasks_open', table: 'tasks', columns: ['created_at', 'id'], where: 'ended_at is null' },
  {
    name: 'tasks_open_by_key',
    table: 'tasks',
    columns: ['concurrency_key', 'concurrency_seq'],
    where: 'ended_at is null and concurrency_key is not null',
  },
  { name: 'tasks_by_age', table: 'tasks', columns: ['created_at', 'id'] },
  { name: 'tasks_by_project', table: 'tasks', columns: ['project', 'environment'] },
  { name: 'log_lines_by_task', table: 'log_lines', columns: ['task', 'seq'] },
  { name: 'packages_by_digest', table: 'packages', columns: ['sha256'] },
  { name: 'variables_by_project', table: 'variables', columns: ['project', 'name'] },
  { name: 'deployments_by_project', table: 'deployments', columns: ['project', 'created_at'] },
  { name: 'deployments_by_task', table: 'deployments', columns: ['task'] },
  { name: 'api_keys_by_creator', table: 'api_keys', columns: ['created_by'] },
  { name: 'certificates_by_node', table: 'certificates', columns: ['node'] },
  { name: 'events_by_type', table: 'events', columns: ['type', 'seq'] },
  { name: 'idempotency_keys_by_age', table: 'idempotency_keys', columns: ['created_at'] },
  { name: 'tickets_by_executor', table: 'tickets', columns: ['executor', 'created_at'] },
  { name: 'tickets_uncompleted', table: 'tickets', columns: ['ended_at'], where: 'completed_at is null' },
];

export const migration0001: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    for (const table of TABLES) await createTable(db, table).execute();
    // Events and denials number themselves and never reuse a number.
    for (const table of ['events', 'denials']) {
      await sql`create table ${sql.table(table)} (seq integer primary key autoincrement, at bigint not null,
        actor text not null, type text not null, subject_kind text not null, subject text not null,
        data_json text not null)`.execute(db);
    }
    for (const index of INDEXES) {
      const where = index.where === undefined ? sql`` : sql.raw(` where ${index.where}`);
      const columns = sql.join(index.columns.map((column) => sql.ref(column)));
      await sql`create index ${sql.ref(index.name)} on ${sql.table(index.table)} (${columns})${where}`.execute(db);
    }
  },
};

function createTable(db: Kysely<never>, spec: TableSpec): CreateTableBuilder<string, string> {
  let table: CreateTableBuilder<string, string> = db.schema.createTable(spec.name);
  for (const [column, kind] of Object.entries(spec.columns)) {
    const references = spec.references?.[column];
    table = table.addColumn(column, kind.startsWith('int') ? 'bigint' : 'text', (builder) => {
      const nullable = kind.endsWith('?') ? builder : builder.notNull();
      return references === undefined ? nullable : nullable.references(references);
    });
  }
  table = table.addPrimaryKeyConstraint(`${spec.name}_key`, [...spec.key]);
  for (const [index, columns] of (spec.unique ?? []).entries()) {
    table = table.addUniqueConstraint(`${spec.name}_unique_${index}`, [...columns]);
  }
  return table;
}
