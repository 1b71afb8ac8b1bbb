// Mirrors: what they are like, what they have, and warming them.
import { ERROR_CATALOGUE, IsthmusError } from '../../../contract/errors.ts';
import { IdempotencyKey, json, noContent } from '../../../contract/http.ts';
import {
  CachedPackagePage,
  CollectedCache,
  Collection,
  Mirror as MirrorView,
  MirrorList,
  NewWarming,
  PinnedVersion,
  Verification,
  VerifiedCache,
  ReleaseSites,
  ReleaseSitesQuery,
  type Mirror,
  type MirrorStatus,
} from '../../../contract/mirrors.ts';
import { ByReleaseVersion } from '../../../contract/releases.ts';
import { BySlug, PageQuery } from '../../../contract/schema.ts';
import { pinVersion, unpinVersion } from '../../mirrors/pins.ts';
import { isSha256 } from '../../../lib/blobs/digest.ts';
import { readinessOf } from '../../mirrors/readiness.ts';
import { scopeOf } from '../../mirrors/scope.ts';
import { submitWarming } from '../../mirrors/warming.ts';
import type { Node } from '../../store/nodes/nodes.ts';
import type { CacheCounters__Output } from '../../../proto/gen/isthmus/mirror/v1/CacheCounters.ts';
import type { MirrorStatus__Output } from '../../../proto/gen/isthmus/mirror/v1/MirrorStatus.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { pageRequest } from '../pages.ts';
import { findRelease } from './releases.ts';
import { accepted, ACCEPTED_TASK } from './tasks.ts';

export function mirrorRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  const { mirrors } = services;
  const tags = ['mirrors'];

  async function viewOf({ id, site, softwareVersion }: Node): Promise<Mirror> {
    const shown = { id, site, softwareVersion };
    try {
      return { ...shown, status: statusView(await mirrors.status(id)) };
    } catch (thrown) {
      const { code, message: detail, hop, remedy } = IsthmusError.from(thrown);
      const where = hop === undefined ? {} : { hop };
      return {
        ...shown,
        status: null,
        error: { code, detail, remedy: remedy ?? ERROR_CATALOGUE[code].remedy, ...where },
      };
    }
  }

  async function namesOf(sha256: string) {
    const known = await store.packages.byDigest(sha256);
    return known.map(({ id, version }) => ({ id, version }));
  }

  const named = <Entry extends { readonly sha256: string }>(entries: readonly Entry[]) =>
    Promise.all(entries.map(async (entry) => ({ ...entry, packages: await namesOf(entry.sha256) })));

  app.get(
    '/mirrors',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listMirrors',
        summary: 'List mirrors',
        description: 'All active ones, by id. The server asks each; one that gives no answer has an `error` instead.',
        tags,
        response: { 200: json('The mirrors.', MirrorList) },
      },
    },
    async () => ({ items: await Promise.all(mirrors.all().map(viewOf)) }),
  );

  app.get(
    '/mirrors/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getMirror',
        summary: 'Show one mirror',
        tags,
        params: BySlug,
        response: { 200: json('The mirror.', MirrorView) },
      },
    },
    (request) => viewOf(mirrors.get(request.params.id)),
  );

  app.get(
    '/mirrors/:id/packages',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listMirrorPackages',
        summary: 'List what is in the cache of a mirror',
        description: 'By digest.',
        tags,
        params: BySlug,
        querystring: PageQuery,
        response: { 200: json('A page of packages.', CachedPackagePage) },
      },
    },
    async (request) => {
      const { limit, cursor: after } = pageRequest(request.query);
      if (after !== undefined && !isSha256(after)) {
        throw new IsthmusError('INVALID_FIELD', 'this is not a cursor that a list returned', { field: 'cursor' });
      }
      const { packages, more } = await mirrors.list(request.params.id, { after, limit });
      const items = await Promise.all(
        packages.map(async ({ usedAtMs: usedAt, ...each }) => ({
          ...each,
          usedAt,
          packages: await namesOf(each.sha256),
        })),
      );
      const last = items.at(-1);
      return more && last !== undefined ? { items, next: last.sha256 } : { items };
    },
  );

  app.get(
    '/projects/:id/releases/:version/sites',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listReleaseSites',
        summary: 'Show which sites have a release at their mirrors',
        description: 'Sites with machines that it is for, of one environment or all. The server asks the mirrors.',
        tags,
        params: ByReleaseVersion,
        querystring: ReleaseSitesQuery,
        response: { 200: json('The sites.', ReleaseSites) },
      },
    },
    async ({ params, query: { environment } }) => {
      const release = await findRelease(store, params);
      if (environment !== undefined) await store.environments.get(environment);
      const filter = environment === undefined ? {} : { environments: [environment] };
      return { items: await readinessOf(mirrors, await scopeOf(store, release, filter)) };
    },
  );

  app.post(
    '/mirrors/:id/pin',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'pinAtMirror',
        summary: 'Keep a version in the cache of a mirror',
        description: 'Once it is there, it is not evicted. To pin it again changes nothing.',
        tags,
        params: BySlug,
        headers: IdempotencyKey,
        body: PinnedVersion,
        response: { 204: noContent('It is pinned.') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        await pinVersion(tx, { mirror: mirrors.get(request.params.id).id, ...request.body }, actor);
        return { status: 204, body: null };
      }),
  );

  app.post(
    '/mirrors/:id/unpin',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'unpinAtMirror',
        summary: 'End a pin at a mirror',
        description: 'What is live at its sites, and the version before it, the server pins itself.',
        tags,
        params: BySlug,
        headers: IdempotencyKey,
        body: PinnedVersion,
        response: { 204: noContent('It is not pinned any more.') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        await unpinVersion(tx, { mirror: mirrors.get(request.params.id).id, ...request.body }, actor);
        return { status: 204, body: null };
      }),
  );

  app.post(
    '/mirrors/:id/verify',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'verifyMirror',
        summary: 'Digest all packages of a mirror',
        description: 'Answers when all are done. Damaged ones are put aside, and with `repair` fetched again.',
        tags,
        params: BySlug,
        body: Verification,
        response: { 200: json('What was found.', VerifiedCache) },
      },
    },
    async (request) => {
      const { checked, damaged } = await mirrors.verify(request.params.id, request.body.repair === true);
      return { checked, damaged: await named(damaged) };
    },
  );

  app.post(
    '/mirrors/:id/gc',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'collectMirror',
        summary: 'Remove what need not stay in the cache of a mirror',
        description: 'Damaged files, interrupted fetches, and packages down to the low-water mark.',
        tags,
        params: BySlug,
        body: Collection,
        response: { 200: json('What was removed, or would be.', CollectedCache) },
      },
    },
    async (request) => {
      const dryRun = request.body.dryRun === true;
      const { removed } = await mirrors.collect(request.params.id, dryRun);
      return { dryRun, removed: await named(removed) };
    },
  );

  app.post(
    '/warmings',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'warmRelease',
        summary: 'Fetch a release to mirrors before it is deployed',
        description:
          'To the mirrors of the sites that have machines for its package steps, and to no others. Fetches that ' +
          'somebody waits for go first. A mirror of version 0.1 is skipped.',
        tags,
        headers: IdempotencyKey,
        body: NewWarming,
        response: ACCEPTED_TASK,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await submitWarming(tx, mirrors, request.body, actor)),
      ),
  );
}

function statusView({
  softwareVersion: _version,
  quotaBytes,
  counters,
  ...status
}: MirrorStatus__Output): MirrorStatus {
  const counted: Partial<CacheCounters__Output> = counters ?? {};
  const { firstBytes = 0, firstByteMs = 0, bytesIn = 0, bytesOut = 0 } = counted;
  const { hits = 0, fetches = 0, sharedFetches = 0, uncached = 0, damaged = 0, repaired = 0 } = counted;
  return {
    ...status,
    quotaBytes: quotaBytes === 0 ? null : quotaBytes,
    counters: {
      ...{ hits, fetches, sharedFetches, uncached, bytesIn, bytesOut, damaged, repaired },
      bytesSaved: Math.max(0, bytesOut - bytesIn),
      firstByteMs: firstBytes === 0 ? null : firstByteMs / firstBytes,
      evictions: {
        quota: counted.evictedForQuota ?? 0,
        freeSpace: counted.evictedForFreeSpace ?? 0,
        write: counted.evictedForWrite ?? 0,
        request: counted.evictedOnRequest ?? 0,
      },
    },
  };
}
