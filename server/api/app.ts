// The REST API. Map of this folder:
//   app.ts           plugins, parsers and hooks in their order; then the routes
//   route-access.ts  who may do what; answers.ts: transactions, idempotency, versions; problems.ts: errors
//   strict-json.ts, validation.ts, violations.ts   validation of requests, and its errors
//   openapi.ts       the OpenAPI document
//   routes/          one file per resource: HTTP in, domain function, HTTP out
//   stream/          a task's stream as server-sent events
//   port/            the listener, its TLS certificate, and how many connections strangers and each key may have
import { createHash } from 'node:crypto';
import helmet from '@fastify/helmet';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import {
  fastify,
  type FastifyPluginCallback,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import { IsthmusError } from '../../contract/errors.ts';
import type { ApiContext, ApiInstance } from './context.ts';
import { openApiOptions } from './openapi.ts';
import { enforceAccess } from './route-access.ts';
import { limitConnections } from './port/limit-connections.ts';
import { problemHandler, sendProblem, toProblem } from './problems.ts';
import { apiKeyRoutes } from './routes/api-keys.ts';
import { auditRoutes } from './routes/audit.ts';
import { deploymentRoutes } from './routes/deployments.ts';
import { eventSubscriptionRoutes } from './routes/event-subscriptions.ts';
import { joinTokenRoutes } from './routes/join-tokens.ts';
import { machineRoutes } from './routes/machines.ts';
import { meshRoutes } from './routes/mesh.ts';
import { mirrorRoutes } from './routes/mirrors.ts';
import { nodeUpgradeRoutes } from './routes/node-upgrades.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { packageSourceRoutes } from './routes/package-sources.ts';
import { packageRoutes } from './routes/packages.ts';
import { probeRoutes } from './routes/probes.ts';
import { projectRoutes } from './routes/projects.ts';
import { releaseRoutes } from './routes/releases.ts';
import { siteRoutes } from './routes/sites.ts';
import { taskRoutes } from './routes/tasks.ts';
import { taskStreamRoutes } from './routes/task-stream.ts';
import { variableRoutes } from './routes/variables.ts';
import { parseStrictJson } from './strict-json.ts';
import { compileValidator, rejectUndescribed } from './validation.ts';

/** The limit of JSON bodies; packages have a limit of their own and are streamed. */
const BODY_LIMIT_BYTES = 1024 * 1024;

/** A client that takes longer than this to send its headers loses the connection. */
const HEADERS_TIMEOUT_MS = 30_000;

/** The time for a whole request: 8 GiB of package take this long at 3 Mbit/s. */
const REQUEST_TIMEOUT_MS = 6 * 3_600_000;

/** A connection without a byte for this long is closed. Longer than a trace over eight dead hops, or the heartbeat. */
const SILENCE_TIMEOUT_MS = 120_000;

/** Builds the API; the caller makes it listen. */
export async function createApi(context: ApiContext, server: FastifyServerOptions = {}): Promise<ApiInstance> {
  const app = fastify({
    ...server,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: SILENCE_TIMEOUT_MS,
    keepAliveTimeout: HEADERS_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, maxHeaderSize: 16 * 1024 },
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: false },
    frameworkErrors: (error, _request, reply) => {
      sendProblem(reply, noSuchPath(error));
    },
    clientErrorHandler: ({ code }, socket) => {
      if (socket.writable) socket.end(rawProblem(code));
      else socket.destroy();
    },
  }).withTypeProvider<TypeBoxTypeProvider>() as unknown as ApiInstance;
  limitConnections(app, context);
  acceptStrictBodies(app);
  app.setValidatorCompiler(compileValidator);
  // A serialiser built from a schema silently drops or coerces what the schema lacks. Tests check the answers instead.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.setErrorHandler(problemHandler(context.log));
  const known = new KnownPaths();
  app.addHook('onRoute', (route) => {
    known.add(route.url, route.method);
  });
  enforceAccess(app as never, context);
  await app.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'none'"] } } });
  // With the headers of helmet, and before the body is read.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) known.reject(request, reply);
    else done();
  });
  await app.register(swagger, openApiOptions(context.meshId));
  await app.register(inScope(probeRoutes, context));
  await app.register(inScope(v1, context), { prefix: '/api/v1' });
  await app.ready();
  return app;
}

/** In the order in which the OpenAPI document lists them. */
const RESOURCES = [
  apiKeyRoutes,
  auditRoutes,
  eventSubscriptionRoutes,
  siteRoutes,
  nodeRoutes,
  nodeUpgradeRoutes,
  mirrorRoutes,
  joinTokenRoutes,
  machineRoutes,
  packageRoutes,
  packageSourceRoutes,
  projectRoutes,
  variableRoutes,
  releaseRoutes,
  deploymentRoutes,
  taskRoutes,
  taskStreamRoutes,
  meshRoutes,
];

function v1(app: ApiInstance, context: ApiContext): void {
  app.addHook('preValidation', (request, _reply, done) => {
    rejectUndescribed(request);
    done();
  });
  app.get('/openapi.json', { config: { access: 'public' }, schema: { hide: true } }, () => app.swagger());
  for (const routes of RESOURCES) routes(app, context);
}

/** Wraps routes into a plugin, so that hooks and parsers that they add stay theirs. */
function inScope(routes: (app: ApiInstance, context: ApiContext) => void, context: ApiContext): FastifyPluginCallback {
  return (scope, _options, done) => {
    routes(scope, context);
    done();
  };
}

/** Accepts only strict JSON without Content-Encoding; routes that take bytes add their own parser. */
function acceptStrictBodies(app: ApiInstance): void {
  app.removeAllContentTypeParsers();
  app.addHook('preParsing', ({ headers }, _reply, _payload, done) => {
    const coding = headers['content-encoding'] ?? 'identity';
    if (coding === 'identity') return done();
    done(
      new IsthmusError('UNSUPPORTED_MEDIA_TYPE', 'a body with a Content-Encoding is not accepted', {
        remedy: 'Send the body uncompressed, without Content-Encoding.',
      }),
    );
  });
  app.decorateRequest('bodySha256', null);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    request.bodySha256 = createHash('sha256').update(body).digest('hex');
    try {
      done(null, body.length === 0 ? undefined : parseStrictJson(body));
    } catch (thrown) {
      done(thrown as Error);
    }
  });
}

function noSuchPath(cause?: unknown): IsthmusError {
  return new IsthmusError('NOT_FOUND', 'the API has no such path', {
    cause,
    remedy: 'See /api/v1/openapi.json for the paths.',
  });
}

/** A complete HTTP answer to bytes that could not be parsed as a request; `code` is the error code of Node.js. */
function rawProblem(code: string): string {
  const tooLarge = code === 'HPE_HEADER_OVERFLOW';
  const error = new IsthmusError(
    'MALFORMED_BODY',
    tooLarge ? 'the headers are larger than 16 KiB' : `this is not an HTTP request (${code})`,
    { remedy: tooLarge ? 'Send fewer or shorter headers.' : 'Send a well-formed HTTP/1.1 request.' },
  );
  const body = JSON.stringify(toProblem(error));
  const head = ['HTTP/1.1 400 Bad Request', 'Content-Type: application/problem+json', 'Connection: close'];
  return [...head, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
}

/** Every path with its methods, so that a wrong method on a known path gets 405, not 404. */
class KnownPaths {
  readonly #paths = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  add(url: string, method: string | string[]): void {
    const pattern = new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[A-Za-z]+/g, '[^/]+')}$`);
    const path = this.#paths.get(url) ?? { pattern, methods: new Set() };
    for (const one of [method].flat()) path.methods.add(one);
    this.#paths.set(url, path);
  }

  /** Answers a request that no route takes. */
  reject(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const path = request.url.split('?')[0] ?? '';
    const methods = [...this.#paths.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap((p) => [...p.methods]);
    if (methods.length === 0) return sendProblem(reply, noSuchPath());
    reply.header('allow', methods.join(', '));
    return sendProblem(reply, new IsthmusError('METHOD_NOT_ALLOWED', `${request.method} is not a method of this path`));
  }
}
