// Reads and checks a package order. It is signed by a server, but checked all the same before any field names a file.
import { IsthmusError } from '../../contract/errors.ts';
import { TEXT_ENCODINGS, type TextEncoding } from '../../contract/text-encodings.ts';
import { UNPACKED_FORMATS, type UnpackedFormat } from '../../lib/archives/archive.ts';
import { entryPath } from '../../lib/archives/names.ts';
import { isSha256 } from '../../lib/blobs/digest.ts';
import type { Source } from '../../lib/blobs/source.ts';
import { readDeltaHints, type DeltaHints } from '../../lib/delta/hints.ts';
import { versionKey } from '../../lib/package-versions.ts';
import { receivedSources } from '../../node/sources/find.ts';
import { readInstallation, type Installation } from '../installation.ts';
import type { FileRules } from './ownership.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { SubstitutionRule__Output } from '../../proto/gen/isthmus/tentacle/v1/SubstitutionRule.ts';

/** Files in which variables are substituted; without a byte order mark they have this encoding. */
export interface SubstitutionRule {
  readonly pattern: string;
  readonly encoding: TextEncoding;
}

export interface PackageOrder {
  readonly id: string;
  readonly version: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly format: UnpackedFormat;
  /** The name that a `file` gets. */
  readonly fileName: string | undefined;
  /** The bytes of its files once it is unpacked, and its entries: it must not have more. */
  readonly unpackedBytes: number | undefined;
  readonly entries: number | undefined;
  readonly installation: Installation;
  readonly sources: readonly Source[];
  readonly downloadToken: string;
  /** Undefined where no delta can be made. */
  readonly delta: DeltaHints | undefined;
  readonly substitute: readonly SubstitutionRule[];
  readonly variables: Readonly<Record<string, string>>;
  readonly sensitiveNames: readonly string[];
  readonly fileRules: FileRules;
  /** The folder beside the data folder that gets a copy of the release. */
  readonly installTo: string | undefined;
  /** When a step is settled: it has not succeeded. */
  readonly revert: boolean;
}

/** Checks every field that becomes part of a path, a request or a limit. */
export function readOrder(payload: PackagePayload__Output): PackageOrder {
  const { sources, downloadToken, substitute, variables, sensitiveNames, installTo, revert } = payload;
  const { unpackedBytes, entries } = payload;
  const { id = '', version = '', sha256 = '', sizeBytes = 0, format = '' } = payload.package ?? {};
  const installation = readInstallation(payload.installation);
  versionKey(version, 'package.version');
  if (!isSha256(sha256)) reject('package.sha256', 'a digest is 64 lower-case hex digits');
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0)
    reject('package.size_bytes', 'must be a positive number of bytes');
  const unpackedFormat =
    UNPACKED_FORMATS.find((known) => known === format) ??
    reject('package.format', `"${format}" is not a package format`);
  return {
    ...{ id, version, sha256, sizeBytes, installation, downloadToken, variables },
    format: unpackedFormat,
    fileName: unpackedFormat === 'file' ? readFileName(payload.fileName) : undefined,
    unpackedBytes: unpackedBytes === 0 ? undefined : unpackedBytes,
    entries: entries === 0 ? undefined : entries,
    substitute: substitute.map(readRule),
    sensitiveNames,
    fileRules: readFileRules(payload),
    installTo: installTo === '' ? undefined : installTo,
    revert,
    sources: receivedSources(sources),
    delta: readDeltaHints(payload.delta, { sha256, sizeBytes }),
  };
}

/** It becomes the path of a file below the release. */
function readFileName(name: string): string {
  if (!name.includes('/') && entryPath(name).length === 1) return name;
  return reject('file_name', 'names one file, in no folder');
}

/** Empty fields are absent; bits beside the permissions are dropped. */
function readFileRules({ owner, group, fileMode, folderMode }: PackagePayload__Output): FileRules {
  return {
    ...(owner === '' ? {} : { owner }),
    ...(group === '' ? {} : { group }),
    ...(fileMode === 0 ? {} : { fileMode: fileMode & 0o777 }),
    ...(folderMode === 0 ? {} : { folderMode: folderMode & 0o777 }),
  };
}

function readRule({ pattern, encoding }: SubstitutionRule__Output): SubstitutionRule {
  const known = TEXT_ENCODINGS.find((each) => each === encoding);
  return { pattern, encoding: known ?? reject('substitute.encoding', `"${encoding}" is not a known encoding`) };
}

function reject(field: string, why: string): never {
  throw new IsthmusError('INVALID_FIELD', why, { field });
}
