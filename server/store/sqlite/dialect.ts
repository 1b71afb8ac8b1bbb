// Kysely over node:sqlite: no native build, one connection. Kysely itself queues queries for the one connection, so a
// transaction has it alone from `begin` to `commit`.
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { CompiledQuery, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely';
import { LRUCache } from 'lru-cache';

/** Prepared statements kept: the store has about 150 different ones; to prepare one costs more than to run it. */
const PREPARED_STATEMENTS = 300;

interface Prepared {
  readonly statement: StatementSync;
  readonly answersRows: boolean;
}

class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #prepared = new LRUCache<string, Prepared>({ max: PREPARED_STATEMENTS });

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    // Runs at once, because node:sqlite is synchronous; the promise only reports the result.
    return new Promise((resolve) => {
      const { statement, answersRows } = this.#prepare(sql);
      const values = parameters as SQLInputValue[];
      if (answersRows) {
        resolve({ rows: statement.all(...values) as Row[] });
        return;
      }
      const { changes, lastInsertRowid } = statement.run(...values);
      resolve({ rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) });
    });
  }

  async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    for (const row of this.#database.prepare(sql).iterate(...(parameters as SQLInputValue[]))) {
      yield await Promise.resolve({ rows: [row as Row] });
    }
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    const prepared = { statement, answersRows: statement.columns().length > 0 };
    this.#prepared.set(sql, prepared);
    return prepared;
  }
}

class NodeSqliteDriver implements Driver {
  readonly #database: DatabaseSync;
  readonly #connection: NodeSqliteConnection;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#connection = new NodeSqliteConnection(database);
  }

  init = () => Promise.resolve();
  acquireConnection = () => Promise.resolve(this.#connection);
  releaseConnection = () => Promise.resolve();
  // `immediate` takes the write lock at the beginning, so no transaction fails half-way for lack of it.
  beginTransaction = (connection: DatabaseConnection) => run(connection, 'begin immediate');
  commitTransaction = (connection: DatabaseConnection) => run(connection, 'commit');
  // A full disk makes SQLite roll back by itself; a second rollback would fail and hide why.
  rollbackTransaction = (connection: DatabaseConnection) =>
    this.#database.isTransaction ? run(connection, 'rollback') : Promise.resolve();

  destroy(): Promise<void> {
    this.#database.close();
    return Promise.resolve();
  }
}

async function run(connection: DatabaseConnection, sql: string): Promise<void> {
  await connection.executeQuery(CompiledQuery.raw(sql));
}

/** With transactional DDL a failed migration leaves nothing behind; Kysely's own adapter denies that SQLite has it. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** The dialect over an open database. Closing Kysely closes the database. */
export function nodeSqliteDialect(database: DatabaseSync): Dialect {
  return {
    createDriver: () => new NodeSqliteDriver(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalSqliteAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}
