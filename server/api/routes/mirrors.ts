// Mirrors: what they are like, what they have, and warming them.
import { ERROR_CATALOGUE, IsthmusError } from '../../../contract/errors.ts';
import { IdempotencyKey, json } from '../../../contract/http.ts';
import {
  CachedPackagePage,
  Mirror as MirrorView,
  MirrorList,
  NewWarming,
  type Mirror,
} from '../../../contract/mirrors.ts';
import { BySlug, PageQuery } from '../../../contract/schema.ts';
import { submitWarming } from '../../mirrors/warming.ts';
import type { Node } from '../../store/nodes/nodes.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { pageRequest } from '../pages.ts';
import { accepted, ACCEPTED_TASK } from './tasks.ts';

export function mirrorRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  const { mirrors } = services;
  const tags = ['mirrors'];

  async function viewOf({ id, site, softwareVersion }: Node): Promise<Mirror> {
    const shown = { id, site, softwareVersion };
    try {
      const { quotaBytes, minFreeBytes, freeBytes, packages, packageBytes, partialBytes, fetching } =
        await mirrors.status(id);
      const status = { minFreeBytes, freeBytes, packages, packageBytes, partialBytes, fetching };
      return { ...shown, status: { ...status, quotaBytes: quotaBytes === 0 ? null : quotaBytes } };
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
      const { packages, more } = await mirrors.list(request.params.id, { after, limit });
      const items = await Promise.all(
        packages.map(async ({ sha256, sizeBytes, usedAtMs: usedAt }) => {
          const known = await store.packages.byDigest(sha256);
          return { sha256, sizeBytes, usedAt, packages: known.map(({ id, version }) => ({ id, version })) };
        }),
      );
      const last = items.at(-1);
      return more && last !== undefined ? { items, next: last.sha256 } : { items };
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
