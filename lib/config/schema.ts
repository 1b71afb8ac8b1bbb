// Reads a component's settings schema: its scalar settings with their paths, variables and options. TypeBox builds plain
// JSON Schema, which is what this reads.
import type { TObject } from 'typebox';

/** The part of JSON Schema that settings are written in. */
interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  /** What a value must be, in words, where JSON Schema has only a pattern. */
  readonly expected?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

/** A scalar setting: can be set by an option, a variable or the file. */
export interface Setting {
  /** As in the file: `mesh.listen`. */
  readonly path: string;
  /** `ISTHMUS_MESH_LISTEN` */
  readonly variable: string;
  /** `mesh-listen` */
  readonly option: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean';
  readonly description: string;
  readonly default: unknown;
}

const SCALAR_TYPES: readonly string[] = ['string', 'integer', 'number', 'boolean'];

/** camelCase and dots to words: `healthCheckIntervalS` → health, check, interval, s. */
function words(path: string): string[] {
  return path
    .replace(/([a-z0-9])([A-Z])/g, '$1.$2')
    .split('.')
    .map((word) => word.toLowerCase());
}

/** Every scalar setting of a schema, in order. */
export function settingsOf(schema: TObject): Setting[] {
  const found: Setting[] = [];
  const visit = (node: SchemaNode, path: string): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const childPath = path === '' ? key : `${path}.${key}`;
      const type = child.type ?? child.anyOf?.[0]?.type ?? '';
      if (type === 'object') visit(child, childPath);
      if (!SCALAR_TYPES.includes(type)) continue;
      found.push({
        path: childPath,
        variable: `ISTHMUS_${words(childPath).join('_').toUpperCase()}`,
        option: words(childPath).join('-'),
        type: type as Setting['type'],
        description: child.description ?? '',
        default: child.default,
      });
    }
  };
  visit(schema, '');
  return found;
}

/** Every list of a schema, with its path. Lists are set only in the file. */
export function listsOf(schema: TObject): { readonly path: string; readonly description: string }[] {
  const visit = (node: SchemaNode, path: string): { path: string; description: string }[] =>
    Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
      const childPath = path === '' ? key : `${path}.${key}`;
      if (child.type === 'object') return visit(child, childPath);
      return child.type === 'array' ? [{ path: childPath, description: child.description ?? '' }] : [];
    });
  return visit(schema, '');
}

function nodeAt(schema: TObject, path: readonly string[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = schema;
  for (const key of path) {
    node = /^\d+$/.test(key) && node?.items !== undefined ? node.items : node?.properties?.[key];
  }
  return node;
}

/** The allowed keys of the object at `path`; empty when the schema has none. */
export function keysAt(schema: TObject, path: readonly string[]): string[] {
  return Object.keys(nodeAt(schema, path)?.properties ?? {});
}

/** What the value at `path` must be, in words, if the schema says so. */
export function expectedAt(schema: TObject, path: readonly string[]): string | undefined {
  return nodeAt(schema, path)?.expected;
}
