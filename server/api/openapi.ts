// The OpenAPI document: adds to every operation what holds for all, and lists every named schema once.
import type { FastifyDynamicSwaggerOptions, SwaggerTransform } from '@fastify/swagger';
import { PROBLEM_ANSWERS } from '../../contract/http.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { SOFTWARE_VERSION } from '../../lib/version.ts';
import { compareText } from '../../lib/text/compare.ts';

const TAGS = {
  access: 'Who the caller is, and API keys.',
  audit: 'Who did what to what.',
  sites: 'Sites: networks with nodes in them.',
  environments: 'Environments: groups of machines to which releases are deployed.',
  nodes: 'Nodes of the mesh.',
  mirrors: 'Mirrors: what is in their caches, and warming them.',
  tokens: 'Join tokens.',
  machines: 'Machines: the targets of deployments, scripts and health checks.',
  packages: 'Packages of the built-in feed.',
  projects: 'Projects and their process.',
  variables: 'Variables of a project.',
  releases: 'Releases: a process with its packages and variables, pinned.',
  deployments: 'Deployments of releases to environments.',
  tasks: 'Tasks: deployments, scripts, health checks, upgrades and warmings under way or ended.',
  mesh: 'The mesh as the server sees it, and probes along its paths.',
  probes: 'Liveness and readiness of the process.',
};

/** The options of @fastify/swagger for the API of this mesh. */
export function openApiOptions(meshId: string): FastifyDynamicSwaggerOptions {
  const named = new NamedSchemas();
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Isthmus',
        version: SOFTWARE_VERSION,
        description: `The API of mesh ${meshId}.`,
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
      servers: [{ url: '/', description: 'The server that answers with this document.' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
      security: [{ apiKey: [] }],
    },
    transform: (operation) => named.describe(operation),
    transformObject: (document) => {
      if (!('openapiObject' in document)) throw new IsthmusError('INTERNAL', 'the document is not OpenAPI');
      const { openapiObject } = document;
      return Object.assign(openapiObject, { components: { ...openapiObject.components, schemas: named.all() } });
    },
  };
}

type Schema = Readonly<Record<string, unknown>>;

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const refer = (name: string) => `#/components/schemas/${name}`;

/** Collects the named schemas while operations are described. */
class NamedSchemas {
  readonly #schemas = new Map<string, unknown>();

  /** An operation with what holds for all: its role and error answers, and references to named schemas. */
  describe: SwaggerTransform = ({ schema, url, route }) => {
    const access = route.config?.access;
    const { response = {}, ...rest } = schema as { readonly response?: object };
    const described = {
      ...rest,
      response: { ...response, ...PROBLEM_ANSWERS },
      ...(access === 'public' ? { security: [] } : {}),
      'x-role': access,
    };
    return { schema: this.#published(described) as typeof schema, url };
  };

  /** All named schemas, by name. */
  all(): Schema {
    return Object.fromEntries([...this.#schemas].toSorted(([a], [b]) => compareText(a, b)));
  }

  #published(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#published(each));
    if (!isSchema(value)) return value;
    const { $id, ...schema } = value;
    if (typeof $id !== 'string') return this.#fields(schema);
    if (!this.#schemas.has($id)) {
      this.#schemas.set($id, undefined);
      this.#schemas.set($id, this.#fields(schema));
    }
    return { $ref: refer($id) };
  }

  #fields(schema: Schema): Schema {
    const entries = Object.entries(inOpenApi(schema)).map(([key, value]) => [key, this.#published(value)]);
    return Object.fromEntries(entries) as Schema;
  }
}

/** A schema in the form that generators support: unions with a discriminator as `oneOf`, records by their values. */
function inOpenApi(schema: Schema): Schema {
  const { discriminator, anyOf, patternProperties, ...rest } = schema;
  if (isSchema(patternProperties)) return { ...rest, additionalProperties: Object.values(patternProperties)[0] };
  if (!isSchema(discriminator)) return schema;
  const { propertyName } = discriminator as { readonly propertyName: string };
  const mapping = (anyOf as readonly Branch[]).map(({ $id, properties }) => [
    properties[propertyName]?.const,
    refer($id),
  ]);
  return { ...rest, oneOf: anyOf, discriminator: { propertyName, mapping: Object.fromEntries(mapping) as Schema } };
}

interface Branch {
  readonly $id: string;
  readonly properties: Readonly<Record<string, { readonly const?: string }>>;
}
