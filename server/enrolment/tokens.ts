// Join tokens: each is for one node, works once and expires within an hour. The server keeps only the sealed proof key.
import { randomBytes } from 'node:crypto';
import { formatToken, proofKey } from '../../certs/enrolment/proof.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Parent } from '../../contract/nodes.ts';
import { isSlug, newId } from '../../lib/ids.ts';
import { requireHostPort } from '../../lib/net/host-port.ts';
import type { Sealer } from '../../lib/secrets/seal.ts';
import { SERVER } from '../store/nodes/parents.ts';
import { noSuch } from '../store/references.ts';
import type { Actor } from '../store/base.ts';
import type { JoinToken } from '../store/nodes/tokens.ts';
import type { StoreTransaction } from '../store/store.ts';
import { checkEnvironments } from '../inventory/index.ts';
import { addressForChildren, checkAddress, checkParents, type ParentInput } from '../topology/desired-parents.ts';
import { checkNameFree } from './rejoining.ts';
import { checkRoutes } from '../topology/routes.ts';
import type { Topology } from '../topology/topology.ts';

/** Long enough to walk to a machine, short enough that a leaked one is soon worthless. */
const MAX_TTL_S = 3600;

/** The port of a relay; without one no child could dial it. */
const RELAY_PORT = 8444;

export interface TokenInput {
  readonly role: JoinToken['role'];
  readonly site: string;
  readonly name?: string | undefined;
  /** In order of preference; the server when absent. */
  readonly parents?: readonly ParentInput[] | undefined;
  /** Where the children of a relay dial it, as host:port; what it finds out itself when absent. */
  readonly address?: string | undefined;
  readonly environments?: readonly string[] | undefined;
  readonly targetRoles?: readonly string[] | undefined;
  readonly routes?: JoinToken['routes'] | undefined;
  readonly ttlS?: number | undefined;
}

export interface CreatedToken {
  readonly id: string;
  /** Shown once. */
  readonly token: string;
  /** SHA-256 of the authority's certificate. */
  readonly pin: string;
  readonly expiresAt: number;
  /** Other unused tokens for the same name: the first join takes the name. */
  readonly othersOpen: readonly string[];
  /** The command to run on the joining machine. It reads the token from its input: the token is not part of it. */
  readonly joinCommand: string;
}

interface TokenDeps {
  readonly sealer: Sealer;
  readonly pin: string;
  /** The address of the server's own port, as host:port, when it is known. */
  readonly serverAddress: string | undefined;
  readonly topology: Topology;
}

/** Revokes a join token: no node can join with it any more. */
export async function revokeToken(tx: StoreTransaction, token: string, actor: Actor): Promise<void> {
  const { id } = await tx.tokens.get(token);
  await tx.tokens.delete(id);
  await tx.events.append({ actor, type: 'token.revoked', subject: id, data: {} });
}

/** Creates a join token. Throws INVALID_FIELD, naming the field, when the request is wrong. */
export async function createToken(
  tx: StoreTransaction,
  input: TokenInput,
  actor: Actor,
  deps: TokenDeps,
): Promise<CreatedToken> {
  const parents = parentsOf(input.parents ?? [{ node: SERVER }]);
  await checkInput(tx, input, parents, deps.topology);
  const id = newId();
  const secret = randomBytes(32);
  const createdAt = Date.now();
  const others = input.name === undefined ? [] : await tx.tokens.openFor(input.name, createdAt);
  const token: JoinToken = {
    id,
    proofKeySealed: deps.sealer.seal(proofKey(secret), proofKeyIdentity(id)),
    role: input.role,
    site: input.site,
    // Parents dial a node by its name, so one that waits to be dialled needs a name before it enrols.
    name: input.name ?? (isDialled(parents) ? `${input.role}-${randomBytes(4).toString('hex')}` : null),
    parents,
    address: input.address ?? null,
    environments: input.environments ?? [],
    targetRoles: input.targetRoles ?? [],
    routes: input.routes ?? null,
    expiresAt: createdAt + (input.ttlS ?? MAX_TTL_S) * 1000,
    createdBy: actor,
    createdAt,
    boundSpkiSha256: null,
    boundNode: null,
    usedAt: null,
  };
  await tx.tokens.insert(token);
  const { role, site, name, expiresAt } = token;
  await tx.events.append({
    actor,
    type: 'token.created',
    subject: id,
    data: { role, site, name, parents, expiresAt },
  });
  return {
    id,
    token: formatToken({ id, secret }),
    pin: deps.pin,
    expiresAt,
    othersOpen: others.map((other) => other.id),
    joinCommand: command(token, deps.pin, addressesOf(parents, deps)),
  };
}

/** The associated data of a sealed proof key. */
export function proofKeyIdentity(tokenId: string): string {
  return `join_tokens/${tokenId}/proof_key`;
}

function parentsOf(input: readonly ParentInput[]): Parent[] {
  return input.map(({ node, dialAddress }) => ({ node, dialAddress: dialAddress ?? null }));
}

function isDialled(parents: readonly Parent[]): boolean {
  return parents.some(({ dialAddress }) => dialAddress !== null);
}

async function checkInput(
  tx: StoreTransaction,
  input: TokenInput,
  parents: readonly Parent[],
  topology: Topology,
): Promise<void> {
  const wrong = (field: string, reason: string): never => {
    throw new IsthmusError('INVALID_FIELD', reason, { field });
  };
  const { role, site, name, ttlS } = input;
  if (ttlS !== undefined && (!Number.isInteger(ttlS) || ttlS < 1 || ttlS > MAX_TTL_S)) {
    wrong('ttlS', `a token lasts 1 to ${MAX_TTL_S} seconds`);
  }
  if ((await tx.sites.find(site)) === undefined) throw noSuch('site', site, 'site');
  if (name !== undefined) {
    if (!isSlug(name) || name === SERVER) wrong('name', `${name} cannot be the id of a node`);
    await checkNameFree(tx, name, role);
  }
  if (input.address !== undefined) {
    if (role !== 'relay') wrong('address', `a ${role} has no children that could dial it`);
    checkAddress(input.address, 'address');
  }
  const isMachine = role === 'tentacle';
  for (const field of ['environments', 'targetRoles', 'routes'] as const) {
    if (!isMachine && input[field] !== undefined && input[field] !== null) wrong(field, `a ${role} has no ${field}`);
  }
  await checkEnvironments(tx, input.environments ?? []);
  for (const [index, targetRole] of (input.targetRoles ?? []).entries()) {
    if (!isSlug(targetRole)) wrong(`targetRoles[${index}]`, `${targetRole} is not a role name`);
  }
  await checkParents(tx, parents);
  if (input.routes !== undefined && input.routes !== null) {
    checkRoutes(input.routes, { parents, ...(name === undefined ? {} : { node: name }) }, topology);
  }
}

/** The addresses of the parents that the node dials, in their order; a text to fill in where one is not known. */
function addressesOf(
  parents: readonly Parent[],
  { topology: { nodes }, serverAddress }: Pick<TokenDeps, 'topology' | 'serverAddress'>,
): string[] {
  return parents
    .filter(({ dialAddress }) => dialAddress === null)
    .map(({ node }) => addressForChildren(node, nodes, serverAddress) ?? `<host:port of ${node}>`);
}

/** The join command. The token is not part of it: a command line shows in `ps` and in the shell's history. */
function command({ role, parents, address }: JoinToken, pin: string, addresses: readonly string[]): string {
  const [dialled] = parents.flatMap(({ dialAddress }) => (dialAddress === null ? [] : [dialAddress]));
  const own = dialled ?? address;
  const port = own === null ? RELAY_PORT : requireHostPort(own).port;
  const options = [
    ...addresses.map((each) => `--address ${quoted(each)}`),
    ...(dialled !== undefined || role === 'relay' ? [`--listen '[::]:${port}'`] : []),
  ];
  return `isthmus join --service --role ${role} ${options.join(' ')} --pin ${pin} --token-file -`;
}

/** Brackets are a pattern to some shells. */
function quoted(address: string): string {
  return address.startsWith('[') ? `'${address}'` : address;
}
