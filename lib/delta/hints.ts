// What a node knows of a package for a delta: from the server, which pins it as it pins the digest of the file.
import { MOST_BASES } from '../blobs/blob-server.ts';
import { isSha256 } from '../blobs/digest.ts';
import type { BlobInfo } from '../blobs/blob-writer.ts';
import type { DeltaHints__Output } from '../../proto/gen/isthmus/topology/v1/DeltaHints.ts';
import type { GzipRecipe } from './gzip-recipe.ts';

export interface DeltaHints {
  /** Whether the content is the tar inside a tar.gz. */
  readonly inflated: boolean;
  /** What a delta leads to. */
  readonly content: BlobInfo;
  /** How the file is made of the tar, where that is known. */
  readonly recipe: GzipRecipe | undefined;
  /** Versions from which a delta may lead there, newest first. */
  readonly bases: readonly DeltaBase[];
}

/** An earlier version, by the digest of its file. */
export interface DeltaBase {
  readonly sha256: string;
  /** Of the tar inside. */
  readonly tarSha256: string | undefined;
}

/** Reads the hints for a file; undefined where no delta can be made. */
export function readDeltaHints(message: DeltaHints__Output | null, file: BlobInfo): DeltaHints | undefined {
  if (message === null) return undefined;
  const { tarSha256, tarBytes, recipe } = message;
  const inflated = tarSha256 !== '';
  const bases = message.bases
    .filter((base) => isSha256(base.sha256) && isSha256(base.tarSha256) === inflated)
    .slice(0, MOST_BASES)
    .map((base) => ({ sha256: base.sha256, tarSha256: inflated ? base.tarSha256 : undefined }));
  if (bases.length === 0 || (inflated && !isPin({ sha256: tarSha256, sizeBytes: tarBytes }))) return undefined;
  return {
    inflated,
    content: inflated ? { sha256: tarSha256, sizeBytes: tarBytes } : file,
    recipe: recipe === null ? undefined : { ...recipe, header: recipe.header.toString('base64') },
    bases,
  };
}

function isPin({ sha256, sizeBytes }: BlobInfo): boolean {
  return isSha256(sha256) && Number.isSafeInteger(sizeBytes) && sizeBytes > 0;
}
