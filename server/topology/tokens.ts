// Join tokens: made for one node, good once, for an hour at most. The server keeps only the sealed key of their proof.
import { randomBytes } from 'node:crypto';
import { formatToken, proofKey } from '../../certs/enrolment/proof.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { isSlug, newId } from '../../lib/ids.ts';
import type { Sealer } from '../../lib/seal.ts';
import type { Actor } from '../store/repositories/base.ts';
import type { Node } from '../store/repositories/nodes.ts';
import type { JoinToken } from '../store/repositories/tokens.ts';
import type { StoreTransaction } from '../store/store.ts';
import { checkEnvironments } from './machines.ts';
import { checkNameFree } from './rejoining.ts';
import { checkRoutes } from './routes.ts';
import { readTopology, SERVER } from './topology.ts';

/** Long enough to walk to a machine, short enough that a leaked one is soon worthless. */
const maxTtlS = 3600;

/** A relay without a port has no children that dial. */
const relayListen = '0.0.0.0:8444';

export interface TokenInput {
  readonly role: JoinToken['role'];
  readonly site: string;
  readonly name?: string | undefined;
  readonly parent?: string | undefined;
  readonly dialAddress?: string | undefined;
  readonly environments?: readonly string[] | undefined;
  readonly targetRoles?: readonly string[] | undefined;
  readonly routes?: JoinToken['routes'] | undefined;
  readonly ttlS?: number | undefined;
}

export interface MadeToken {
  readonly id: string;
  /** Shown once. */
  readonly token: string;
  /** SHA-256 of the authority's certificate. */
  readonly pin: string;
  readonly expiresAt: number;
  /** What to run on the joining machine; it asks for the token, which is not in it. */
  readonly joinCommand: string;
}

interface TokenDeps {
  readonly sealer: Sealer;
  readonly pin: string;
  /** Where the server's own port is reached, as host:port, when it is known. */
  readonly serverAddress: string | undefined;
}

/** Makes a join token. INVALID_FIELD names what is wrong with the request. */
export async function createToken(
  tx: StoreTransaction,
  input: TokenInput,
  actor: Actor,
  deps: TokenDeps,
): Promise<MadeToken> {
  const parent = input.parent ?? SERVER;
  const parentAddress = await checkInput(tx, input, parent);
  const id = newId();
  const secret = randomBytes(32);
  const createdAt = Date.now();
  const token: JoinToken = {
    id,
    proofKeySealed: deps.sealer.seal(proofKey(secret), proofKeyPlace(id)),
    role: input.role,
    site: input.site,
    // Who is dialled is dialled by name, so there must be one before the node has said anything.
    name: input.name ?? (input.dialAddress === undefined ? null : `${input.role}-${randomBytes(4).toString('hex')}`),
    parent,
    dialAddress: input.dialAddress ?? null,
    environments: input.environments ?? [],
    targetRoles: input.targetRoles ?? [],
    routes: input.routes ?? null,
    expiresAt: createdAt + (input.ttlS ?? maxTtlS) * 1000,
    createdBy: actor,
    createdAt,
    boundSpkiSha256: null,
    boundNode: null,
    usedAt: null,
  };
  await tx.tokens.insert(token);
  const { role, site, name, dialAddress, expiresAt } = token;
  await tx.events.append({
    actor,
    type: 'token.created',
    subjectKind: 'token',
    subject: id,
    data: { role, site, name, parent, dialAddress, expiresAt },
  });
  const address = parent === SERVER ? deps.serverAddress : parentAddress;
  return {
    id,
    token: formatToken({ id, secret }),
    pin: deps.pin,
    expiresAt,
    joinCommand: command(token, deps.pin, address),
  };
}

/** The associated data of a sealed proof key. */
export function proofKeyPlace(tokenId: string): string {
  return `join_tokens/${tokenId}/proof_key`;
}

async function checkInput(tx: StoreTransaction, input: TokenInput, parent: string): Promise<string | undefined> {
  const wrong = (field: string, reason: string): never => {
    throw new IsthmusError('INVALID_FIELD', reason, { field });
  };
  const { role, site, name, dialAddress, ttlS } = input;
  if (ttlS !== undefined && (!Number.isInteger(ttlS) || ttlS < 1 || ttlS > maxTtlS)) {
    wrong('ttlS', `a token lasts 1 to ${maxTtlS} seconds`);
  }
  if ((await tx.sites.find(site)) === undefined) wrong('site', `there is no site ${site}`);
  if (name !== undefined) {
    if (!isSlug(name) || name === SERVER) wrong('name', `${name} cannot be the id of a node`);
    checkNameFree(await tx.nodes.find(name), role);
  }
  if (dialAddress !== undefined && !/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/.test(dialAddress)) {
    wrong('dialAddress', 'an address is host:port');
  }
  const isMachine = role === 'tentacle';
  for (const field of ['environments', 'targetRoles', 'routes'] as const) {
    if (!isMachine && input[field] !== undefined && input[field] !== null) wrong(field, `a ${role} has no ${field}`);
  }
  await checkEnvironments(tx, input.environments ?? []);
  for (const [index, targetRole] of (input.targetRoles ?? []).entries()) {
    if (!isSlug(targetRole)) wrong(`targetRoles[${index}]`, `${targetRole} is not a role name`);
  }
  const relay = parent === SERVER ? undefined : await tx.nodes.find(parent);
  if (parent !== SERVER && (relay?.role !== 'relay' || relay.state !== 'active')) {
    wrong('parent', `there is no active relay ${parent}`);
  }
  if (input.routes !== undefined && input.routes !== null) {
    const topology = await readTopology(tx, undefined);
    checkRoutes(input.routes, { parent, ...(name === undefined ? {} : { node: name }) }, topology);
  }
  return (relay && reportedAddress(relay)) ?? relay?.dialAddress ?? undefined;
}

/** Where a relay says that its children reach it. It ends up in a shell: nothing but an address is taken. */
function reportedAddress({ report }: Pick<Node, 'report'>): string | undefined {
  const { meshAddress } = (report ?? {}) as { meshAddress?: unknown };
  if (typeof meshAddress !== 'string') return undefined;
  return /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252}):\d{1,5}$/.test(meshAddress)
    ? meshAddress
    : undefined;
}

/** The token is not part of it: what is on a command line is in `ps` and in the shell's history. */
function command(token: JoinToken, pin: string, address: string | undefined): string {
  const way =
    token.dialAddress === null
      ? `--address ${address ?? `<host:port of ${token.parent}>`}${token.role === 'relay' ? ` --listen ${relayListen}` : ''}`
      : `--listen 0.0.0.0:${token.dialAddress.slice(token.dialAddress.lastIndexOf(':') + 1)}`;
  return `isthmus join --data /var/lib/isthmus/${token.role} ${way} --pin ${pin} --token-file -`;
}
