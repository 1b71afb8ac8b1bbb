// Packages: push, list, download. Versions are immutable, so pushing the same bytes again changes nothing.
import { DeleteQuery, Deletion, Pruning } from '../../../contract/deletions.ts';
import { bytes, Bytes, json } from '../../../contract/http.ts';
import {
  ByPackage,
  ByPackageVersion,
  PackageSummaryPage,
  PackageVersionPage,
  PushedPackage,
  PushHeaders,
  PushQuery,
  PackageVersion as PackageVersionView,
  type PackageSummary as PackageSummaryView,
} from '../../../contract/packages.ts';
import { PageQuery } from '../../../contract/schema.ts';
import { ERROR_CATALOGUE, IsthmusError } from '../../../contract/errors.ts';
import type { Package } from '../../store/packages/packages.ts';
import { listPackages, type PackageSummary } from '../../packages/list.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';
import { denied, principalOf } from '../route-access.ts';

export function packageRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  const tags = ['packages'];

  // In a scope of its own: only this route takes a body that is not JSON, as a stream.
  app.register((scope, _options, done) => {
    pushRoute(scope, context);
    done();
  });

  app.get(
    '/packages',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listPackages',
        summary: 'List packages',
        description: 'Each with its latest version, how many there are, what they need, and which projects use them.',
        tags,
        querystring: PageQuery,
        response: { 200: json('A page of packages.', PackageSummaryPage) },
      },
    },
    async (request) => mapPage(await listPackages(store, pageRequest(request.query)), toSummary),
  );

  app.get(
    '/packages/:id/versions',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listPackageVersions',
        summary: 'List the versions of a package',
        description: 'Highest first.',
        tags,
        params: ByPackage,
        querystring: PageQuery,
        response: { 200: json('A page of versions.', PackageVersionPage) },
      },
    },
    async (request) => {
      const page = await services.packageVersions(request.params.id, pageRequest(request.query));
      return mapPage(page, toView);
    },
  );

  app.get(
    '/packages/:id/versions/:version',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getPackageVersion',
        summary: 'Show one version of a package',
        description: 'In any spelling of the version.',
        tags,
        params: ByPackageVersion,
        response: { 200: json('The version.', PackageVersionView) },
      },
    },
    async ({ params }) => toView(await services.findPackage(params.id, params.version)),
  );

  app.delete(
    '/packages/:id/versions/:version',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'deletePackageVersion',
        summary: 'Delete one version of a package',
        description: '409 `IN_USE` while a release pins it. A dry run answers what would go.',
        tags,
        params: ByPackageVersion,
        querystring: DeleteQuery,
        response: { 200: json('The version is deleted, unless it is a dry run.', Deletion) },
      },
    },
    (request) => {
      const { id, version } = request.params;
      const { dryRun } = request.query;
      return services.deletePackage(id, version, { actor: principalOf(request).keyId, dryRun });
    },
  );

  app.post(
    '/packages/prune',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'prunePackages',
        summary: 'Delete old versions of all packages',
        description: 'All but the highest of each package, what is in use, and what was pushed in the last seven days.',
        tags,
        body: Pruning,
        response: { 200: json('The versions that are deleted, or would be.', Deletion) },
      },
    },
    (request) => services.prunePackages({ ...request.body, actor: principalOf(request).keyId }),
  );

  app.get(
    '/packages/:id/versions/:version/content',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'downloadPackage',
        summary: 'Download a package',
        tags,
        params: ByPackageVersion,
        response: { 200: bytes('The bytes as pushed.', 'Content-Disposition', 'Content-Length', 'ETag') },
      },
    },
    async (request, reply) => {
      const found = await services.findPackage(request.params.id, request.params.version);
      const content = await services.openPackage(found.sha256);
      reply.header('content-length', found.sizeBytes).header('etag', `"${found.sha256}"`);
      reply.header('content-disposition', 'attachment').type('application/octet-stream');
      return reply.send(content as never);
    },
  );
}

function pushRoute(app: ApiInstance, context: ApiContext): void {
  const { services } = context;
  app.addContentTypeParser('application/octet-stream', (_request, _payload, done) => {
    done(null, undefined);
  });
  app.post(
    '/packages',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'pushPackage',
        summary: 'Push a package',
        description: 'Versions are immutable: 409 when this version has other bytes.',
        tags: ['packages'],
        querystring: PushQuery,
        headers: PushHeaders,
        body: { content: { 'application/octet-stream': { schema: Bytes } } },
        response: {
          200: json('The feed already had the same bytes.', PushedPackage, 'Location'),
          201: json('The version was added.', PushedPackage, 'Location'),
        },
      },
    },
    async (request, reply) => {
      if (!/^application\/octet-stream\b/.test(request.headers['content-type'] ?? '')) {
        throw new IsthmusError('UNSUPPORTED_MEDIA_TYPE', 'a package is pushed as application/octet-stream', {
          remedy: 'Send `Content-Type: application/octet-stream`.',
        });
      }
      const id = request.query.id ?? request.headers['x-package-id'];
      const version = request.query.version ?? request.headers['x-package-version'];
      const sent = request.headers['content-length'];
      const sizeBytes = sent === undefined ? undefined : Number(sent);
      const { format, fileName } = request.query;
      const meta = { id, version, format, fileName, sizeBytes };
      const { keyId } = principalOf(request);
      const pushed = await services.pushPackage(request.raw, meta, keyId).catch(async (thrown: unknown) => {
        // An aborted upload, or one for which there is no room, is not a denial.
        if (!(thrown instanceof IsthmusError) || ERROR_CATALOGUE[thrown.code].http >= 500) throw thrown;
        throw thrown.code === 'CANCELLED' ? thrown : await denied(context, request, keyId, thrown, { id, version });
      });
      const { created, ...body } = pushed;
      const path = `${encodeURIComponent(body.id)}/versions/${encodeURIComponent(body.version)}`;
      reply.header('location', `/api/v1/packages/${path}/content`);
      return reply.code(created ? 201 : 200).send(body);
    },
  );
}

function toSummary({ versions, totalBytes, usedBy, ...latest }: PackageSummary): PackageSummaryView {
  return { ...toView(latest), versions, totalBytes, usedBy };
}

function toView({ idKey: _idKey, versionKey: _versionKey, ...view }: Package): PackageVersionView {
  return view;
}
