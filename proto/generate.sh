#!/bin/sh
# Regenerates proto/gen from the .proto files. `--check` compares instead, and fails when they differ.
set -eu
cd "$(dirname "$0")/.."
out=proto/gen
[ "${1:-}" = --check ] && out=$(mktemp -d)
rm -rf "$out"
node_modules/.bin/proto-loader-gen-types --grpcLib=@grpc/grpc-js --importFileExtension=.ts --longs=Number --enums=String \
  --defaults --oneofs --includeComments --includeDirs=proto --outDir="$out" \
  isthmus/mesh/v1/link.proto isthmus/identity/v1/identity.proto isthmus/topology/v1/topology.proto \
  isthmus/tentacle/v1/tentacle.proto isthmus/upgrade/v1/upgrade.proto isthmus/mirror/v1/mirror.proto
if [ "${1:-}" = --check ]; then
  diff -r "$out" proto/gen && rm -rf "$out"
fi
