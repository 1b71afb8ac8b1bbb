// What a node asks of the root process that changes versions: an order in the node's data folder, beside the tarball
// that it has fetched, and later the word that the new version works. Root believes neither: it reads them without
// following links, and what it does with them depends on the signature alone.
import { join } from 'node:path';
import Type, { type Static, type TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { IsthmusError } from '../contract/errors.ts';
import { JOIN_ROLES, type JoinRole } from '../contract/join-tokens.ts';
import { Closed, Words } from '../contract/schema.ts';
import { violationError, type Violation } from '../lib/config/schema-violations.ts';
import { syncPath } from '../lib/files/disk-space.ts';
import { writeDurably } from '../lib/files/durable.ts';
import { ownFolder } from '../lib/files/private.ts';
import type { HostLayout } from './layout.ts';
import { openBelow, readBelow, removeBelow } from './no-links.ts';

/** Below a data folder: the order, the confirmation and the tarball. */
const FOLDER = 'upgrade';
const ORDER = 'order.json';
const CONFIRMATION = 'confirmed.json';

/** Far more than the list of a tarball's files and its signature need. */
const MAX_ORDER_BYTES = 128 * 1024;
const MAX_CONFIRMATION_BYTES = 1024;

/** Chosen by the server; the same upgrade has the same one, however often it is ordered. */
const UpgradeId = Type.String({ pattern: '^[0-9A-Za-z-]{1,64}$' });
const Version = Type.String({ pattern: '^\\d+\\.\\d+\\.\\d+(?:-[0-9A-Za-z.-]+)?$', maxLength: 100 });

const Order = Closed({
  id: UpgradeId,
  /** The node that orders it. */
  role: Words(JOIN_ROLES),
  version: Version,
  /** A file in the order's folder. */
  tarball: Type.String({ pattern: '^isthmus-[0-9A-Za-z.-]+\\.tar\\.gz$', maxLength: 200 }),
  /** The signed list of digests that came with the tarball. */
  sums: Type.String({ minLength: 1, maxLength: 64 * 1024 }),
  /** Of the list, in base64. */
  signature: Type.String({ pattern: '^[0-9A-Za-z+/]{86}==$' }),
  /** Without a confirmation for so long, the host goes back. Nothing else can change its version meanwhile. */
  confirmWithinS: Type.Integer({ minimum: 1, maximum: 120 }),
});
export type UpgradeOrder = Static<typeof Order>;

const Confirmation = Closed({ id: UpgradeId, version: Version });
export type UpgradeConfirmation = Static<typeof Confirmation>;

/** What was found in the data folder of one role: an order, or why what is there is none. */
export type FoundOrder =
  { readonly role: JoinRole; readonly order: UpgradeOrder } | { readonly role: JoinRole; readonly error: IsthmusError };

/** The folder for tarballs of a node's upgrades, created where it is missing. */
export function upgradeFolder(dataDir: string): string {
  const folder = join(dataDir, FOLDER);
  ownFolder(folder);
  return folder;
}

/** Orders an upgrade. The tarball lies in `upgradeFolder`; it is on disk before the order is. */
export async function writeOrder(dataDir: string, order: UpgradeOrder): Promise<void> {
  const folder = upgradeFolder(dataDir);
  await syncPath(join(folder, order.tarball));
  await syncPath(folder);
  writeDurably(join(folder, ORDER), `${JSON.stringify(order)}\n`);
}

/** Tells the upgrader that the version it switched to works. */
export function writeConfirmation(dataDir: string, confirmation: UpgradeConfirmation): void {
  writeDurably(join(upgradeFolder(dataDir), CONFIRMATION), `${JSON.stringify(confirmation)}\n`);
}

/** The orders of all nodes of a host, as root reads them; one that is unusable does not hide the others. */
export function readOrders(layout: HostLayout): FoundOrder[] {
  return JOIN_ROLES.flatMap((role): FoundOrder[] => {
    try {
      const order = read(layout, role, { name: ORDER, schema: Order, maxBytes: MAX_ORDER_BYTES });
      if (order === undefined) return [];
      if (order.role === role) return [{ role, order }];
      throw new IsthmusError('INVALID_FIELD', `the order in the folder of the ${role} is one of a ${order.role}`);
    } catch (thrown) {
      return [{ role, error: IsthmusError.from(thrown, 'FILE_UNUSABLE') }];
    }
  });
}

/** What a node has confirmed last; undefined when that is nothing, or unusable. */
export function readConfirmation(layout: HostLayout, role: JoinRole): UpgradeConfirmation | undefined {
  try {
    return read(layout, role, { name: CONFIRMATION, schema: Confirmation, maxBytes: MAX_CONFIRMATION_BYTES });
  } catch {
    return undefined;
  }
}

/** Opens the tarball of an order for reading; answers its descriptor. Errors of `openBelow`; NOT_FOUND without one. */
export function openTarball(layout: HostLayout, { role, tarball }: UpgradeOrder): number {
  const file = openBelow(...inDataDir(layout, role, tarball));
  if (file !== undefined) return file;
  throw new IsthmusError('NOT_FOUND', `there is no ${join(layout.dataDir(role), FOLDER, tarball)}`);
}

/** Takes an order away, with its tarball. PERMISSIONS_UNSAFE where a folder is in the place of either. */
export function removeOrder(layout: HostLayout, { role, tarball }: UpgradeOrder): void {
  removeBelow(...inDataDir(layout, role, ORDER));
  removeBelow(...inDataDir(layout, role, tarball));
}

/** The data folder itself is named in a folder of root's, which may have made it a link to another disk. */
function inDataDir(layout: HostLayout, role: JoinRole, name: string): [folder: string, names: string[]] {
  return [layout.dataDir(role), [FOLDER, name]];
}

interface JsonFile<Schema extends TSchema> {
  readonly name: string;
  readonly schema: Schema;
  readonly maxBytes: number;
}

function read<Schema extends TSchema>(
  layout: HostLayout,
  role: JoinRole,
  { name, schema, maxBytes }: JsonFile<Schema>,
): Static<Schema> | undefined {
  const content = readBelow(...inDataDir(layout, role, name), maxBytes);
  if (content === undefined) return undefined;
  const value = parse(content, name);
  if (Value.Check(schema, value)) return value;
  const { message, field } = violationError([...Value.Errors(schema, value)] as Violation[]);
  throw new IsthmusError('INVALID_FIELD', `${name} of the ${role}: ${message}`, { field });
}

function parse(content: Buffer, name: string): unknown {
  try {
    return JSON.parse(content.toString('utf8'));
  } catch {
    // The parser's message quotes the content, and everybody may read what root writes about it.
    throw new IsthmusError('INVALID_FIELD', `${name} is not JSON`);
  }
}
