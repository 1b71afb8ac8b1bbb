// Where the bytes of a package come from: a node of the mesh, or a server outside it. Sources are not trusted; the
// digest is checked.

/** A server or a mirror. */
export interface MeshSource {
  readonly kind: 'mesh';
  readonly node: string;
  /** The relays to cross, next first. */
  readonly path: readonly string[];
  /** Of an open port, which needs no tunnel. */
  readonly url?: string | undefined;
}

/** A server outside the mesh, which the node that fetches reaches itself. */
export interface UpstreamSource {
  readonly kind: 'upstream';
  readonly id: string;
  /** Of these very bytes. */
  readonly url: string;
}

/** The server, for a node that may not fetch: the server opens the streams. */
export interface PushedSource {
  readonly kind: 'pushed';
}

export type Source = MeshSource | UpstreamSource | PushedSource;

/** The node, or the id of the server outside the mesh. */
export function nameOf(source: Source): string {
  switch (source.kind) {
    case 'mesh':
      return source.node;
    case 'upstream':
      return source.id;
    case 'pushed':
      return 'server';
  }
}

/** The source and the path to it. Without relays it is the name, and so stands for every path. */
export function keyOf(source: Source): string {
  return source.kind === 'mesh' ? [source.node, ...source.path].join(' ') : nameOf(source);
}
