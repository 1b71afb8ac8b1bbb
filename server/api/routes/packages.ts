// Packages: pushed as bytes, listed, downloaded. Versions are immutable, so pushing the same bytes again is no change.
import { Type, type Static } from 'typebox';
import { errorCatalogue, IsthmusError } from '../../../lib/errors.ts';
import type { Package } from '../../store/repositories/packages.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { principalOf, refused } from '../policy.ts';
import { Closed, mapPage, PageOf, pageRequest, PageQuery, Timestamp } from '../schemas.ts';

const PackageId = Type.String({ minLength: 1, maxLength: 100 });
const Version = Type.String({ minLength: 1, maxLength: 100 });
const Format = Type.Enum(['tar.gz', 'zip', 'nupkg']);

const View = Type.Object({
  id: PackageId,
  version: Version,
  sha256: Type.String(),
  sizeBytes: Type.Integer(),
  format: Format,
  publishedAt: Timestamp,
});

const Pushed = Type.Object({
  id: PackageId,
  version: Version,
  sha256: Type.String(),
  sizeBytes: Type.Integer(),
  format: Format,
});

export function packageRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  const tags = ['packages'];

  // In a scope of its own: only this route takes a body that is not JSON, and takes it as a stream.
  app.register((scope, _options, done) => {
    pushRoute(scope, context);
    done();
  });

  app.get(
    '/packages',
    { config: { policy: 'viewer' }, schema: { tags, querystring: PageQuery, response: { 200: PageOf(View) } } },
    async (request) => mapPage(await store.packages.list(pageRequest(request.query)), toView),
  );

  app.get(
    '/packages/:id/versions',
    {
      config: { policy: 'viewer' },
      schema: {
        tags,
        params: Closed({ id: PackageId }),
        querystring: PageQuery,
        response: { 200: PageOf(View) },
      },
    },
    async (request) => {
      const page = await services.packageVersions(request.params.id, pageRequest(request.query));
      return mapPage(page, toView);
    },
  );

  app.get(
    '/packages/:id/versions/:version/content',
    {
      config: { policy: 'viewer' },
      schema: { tags, params: Closed({ id: PackageId, version: Version }), description: 'The bytes as pushed.' },
    },
    async (request, reply) => {
      const found = await services.findPackage(request.params.id, request.params.version);
      const content = await services.openPackage(found.sha256);
      void reply.header('content-length', found.sizeBytes).header('etag', `"${found.sha256}"`);
      void reply.header('content-disposition', 'attachment').type('application/octet-stream');
      return reply.send(content);
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
      config: { policy: 'operator' },
      schema: {
        tags: ['packages'],
        description:
          'Pushes a package. The body is the file; the name is in the query or in X-Package-Id and X-Package-Version. ' +
          '201 when new, 200 when the same bytes were there, 409 when others were.',
        consumes: ['application/octet-stream'],
        querystring: Closed({
          id: Type.Optional(PackageId),
          version: Type.Optional(Version),
          format: Type.Optional(Format),
        }),
        response: { 200: Pushed, 201: Pushed },
      },
    },
    async (request, reply) => {
      if (!/^application\/octet-stream\b/.test(request.headers['content-type'] ?? '')) {
        throw new IsthmusError('UNSUPPORTED_MEDIA_TYPE', 'a package is pushed as application/octet-stream', {
          remedy: 'Send `Content-Type: application/octet-stream`.',
        });
      }
      const id = request.query.id ?? header(request.headers['x-package-id']);
      const version = request.query.version ?? header(request.headers['x-package-version']);
      const sent = request.headers['content-length'];
      const sizeBytes = sent === undefined ? undefined : Number(sent);
      const meta = { id, version, format: request.query.format, sizeBytes };
      const { keyId } = principalOf(request);
      const pushed = await services.pushPackage(request.raw, meta, keyId).catch(async (thrown: unknown) => {
        // An upload that broke off, or for which there is no room, was not refused.
        if (!(thrown instanceof IsthmusError) || errorCatalogue[thrown.code].http >= 500) throw thrown;
        throw thrown.code === 'CANCELLED' ? thrown : await refused(context, request, keyId, thrown, { id, version });
      });
      const { created, ...body } = pushed;
      const place = `${encodeURIComponent(body.id)}/versions/${encodeURIComponent(body.version)}`;
      void reply.header('location', `/api/v1/packages/${place}/content`);
      return reply.code(created ? 201 : 200).send(body);
    },
  );
}

function header(sent: string | string[] | undefined): string | undefined {
  return Array.isArray(sent) ? undefined : sent;
}

function toView({ id, version, sha256, sizeBytes, format, publishedAt }: Package): Static<typeof View> {
  return { id, version, sha256, sizeBytes, format, publishedAt };
}
