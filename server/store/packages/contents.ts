// What is inside the packages, as far as deltas need it: of a tar.gz the tar, and how the gzip was made.
import type { GzipRecipe } from '../../../lib/delta/gzip-recipe.ts';
import type { Executor } from '../base.ts';

/** The tar inside a tar.gz. */
export interface TarFacts {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Null where no recipe makes the same gzip again. */
  readonly recipe: GzipRecipe | null;
}

/** A version of a package, by the digest of its file. */
export interface VersionContent {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly isTarGz: boolean;
  /** Undefined until it has been examined, and for other formats. */
  readonly tar: TarFacts | undefined;
}

export class ContentRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Records what a tar.gz has inside; null: too large for deltas. */
  async examined(sha256: string, tar: TarFacts | null): Promise<void> {
    const recipe = JSON.stringify(tar?.recipe ?? null);
    await this.#db
      .updateTable('packages')
      .set({ tar_sha256: tar?.sha256 ?? null, tar_bytes: tar?.sizeBytes ?? null, gzip_recipe: recipe })
      .where('sha256', '=', sha256)
      .execute();
  }

  /** The digests of every tar.gz that has not been examined, newest first. */
  async unexamined(): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('packages')
      .select('sha256')
      .where('format', '=', 'tar.gz')
      .where('gzip_recipe', 'is', null)
      .orderBy('published_at', 'desc')
      .execute();
    return [...new Set(rows.map(({ sha256 }) => sha256))];
  }

  /** The version with this digest. */
  async find(sha256: string): Promise<VersionContent | undefined> {
    const row = await this.#select().where('sha256', '=', sha256).executeTakeFirst();
    return row === undefined ? undefined : toContent(row);
  }

  /** Other versions of the packages that have this digest, newest first. */
  async besides(sha256: string, limit: number): Promise<VersionContent[]> {
    const rows = await this.#select()
      .where('id_key', 'in', (eb) => eb.selectFrom('packages').select('id_key').where('sha256', '=', sha256))
      .where('sha256', '!=', sha256)
      .orderBy('published_at', 'desc')
      .limit(limit)
      .execute();
    return rows.map(toContent);
  }

  #select() {
    return this.#db
      .selectFrom('packages')
      .select(['sha256', 'size_bytes', 'format', 'tar_sha256', 'tar_bytes', 'gzip_recipe']);
  }
}

interface Row {
  readonly sha256: string;
  readonly size_bytes: number;
  readonly format: string;
  readonly tar_sha256: string | null;
  readonly tar_bytes: number | null;
  readonly gzip_recipe: string | null;
}

function toContent(row: Row): VersionContent {
  const { sha256, size_bytes: sizeBytes, tar_sha256: tar, tar_bytes: tarBytes, gzip_recipe: recipe } = row;
  const facts = {
    sha256: tar ?? '',
    sizeBytes: tarBytes ?? 0,
    recipe: JSON.parse(recipe ?? 'null') as TarFacts['recipe'],
  };
  return { sha256, sizeBytes, isTarGz: row.format === 'tar.gz', tar: tar === null ? undefined : facts };
}
