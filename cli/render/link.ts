// Links of the mesh as text.
import type { MeshLink } from '../../contract/mesh.ts';

/** ` (last error: UNREACHABLE)` */
export function lastErrorText({ lastErrorCode }: Pick<MeshLink, 'lastErrorCode'>): string {
  return lastErrorCode ? ` (last error: ${lastErrorCode})` : '';
}
