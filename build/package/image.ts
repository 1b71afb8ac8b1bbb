// The OCI image of a tree, by buildah: it needs no engine.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Architecture } from './node-binary.ts';
import { runProgram } from './programs.ts';
import type { Build } from './tree.ts';

/** As the OCI calls them. */
const ARCHITECTURE: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

const REMEDY = "--base names an image in a registry or in buildah's storage";

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
  const running = { signal: build.signal, remedy: REMEDY };
  await runProgram('buildah', ['build', ...options, '-f', join(tree, 'docker/Dockerfile'), '-t', built, tree], running);
  try {
    const archive = `oci-archive:${join(out, name)}:isthmus:${build.version}`;
    await runProgram('buildah', ['push', '--quiet', built, archive], running);
  } finally {
    // Also when the build is to stop.
    await runProgram('buildah', ['rmi', built], { remedy: `buildah rmi ${built} removes it` });
  }
  return name;
}
