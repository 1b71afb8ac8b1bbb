// The OCI image of a tree, by buildah: it needs no engine.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Architecture } from './node-binary.ts';
import type { Build } from './tree.ts';

/** As the OCI calls them. */
const ARCHITECTURE: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

async function buildah(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('buildah', [...args], { maxBuffer: 16 * 1024 * 1024 });
}

/**
 * Builds the image `isthmus:VERSION` of `tree` on the image `base` into an archive in `out`, which `docker load` and
 * `podman load` read; resolves with the name of its file.
 */
export async function buildImage(
  build: Build,
  architecture: Architecture,
  tree: string,
  out: string,
  base: string | undefined,
): Promise<string> {
  const name = `isthmus-${build.version}-linux-${architecture}.oci.tar`;
  const built = `localhost/isthmus-build-${randomUUID()}`;
  const options = [
    ...['--isolation', 'chroot', '--arch', ARCHITECTURE[architecture], '--layers=false'],
    ...['--timestamp', String(build.time.getTime() / 1000)],
    ...['--label', `org.opencontainers.image.version=${build.version}`],
    ...(base === undefined ? [] : ['--build-arg', `BASE=${base}`]),
  ];
  await buildah('build', ...options, '-f', join(tree, 'docker/Dockerfile'), '-t', built, tree);
  try {
    await buildah('push', '--quiet', built, `oci-archive:${join(out, name)}:isthmus:${build.version}`);
  } finally {
    await buildah('rmi', built);
  }
  return name;
}
