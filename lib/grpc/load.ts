// Loads the .proto files at run time with one set of options; proto/generate.sh writes the types.
import { loadPackageDefinition } from '@grpc/grpc-js';
import {
  loadSync,
  type MessageTypeDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import { softwarePath } from '../software.ts';
import { UNREADABLE_ANSWER } from './errors.ts';
import type { ProtoGrpcType as IdentityTypes } from '../../proto/gen/identity.ts';
import type { ProtoGrpcType as LinkTypes } from '../../proto/gen/link.ts';
import type { ProtoGrpcType as MirrorTypes } from '../../proto/gen/mirror.ts';
import type { ProtoGrpcType as TentacleTypes } from '../../proto/gen/tentacle.ts';
import type { ProtoGrpcType as TopologyTypes } from '../../proto/gen/topology.ts';
import type { ProtoGrpcType as UpgradeTypes } from '../../proto/gen/upgrade.ts';

interface ProtoFiles {
  'isthmus/identity/v1/identity.proto': IdentityTypes;
  'isthmus/mesh/v1/link.proto': LinkTypes;
  'isthmus/mirror/v1/mirror.proto': MirrorTypes;
  'isthmus/tentacle/v1/tentacle.proto': TentacleTypes;
  'isthmus/topology/v1/topology.proto': TopologyTypes;
  'isthmus/upgrade/v1/upgrade.proto': UpgradeTypes;
}

const PROTO_DIR = softwarePath('proto');
const loaded = new Map<string, unknown>();

/** The services and messages of one .proto file: longs are numbers, enums strings, bytes Buffers, defaults present. */
export function loadDefinitions<F extends keyof ProtoFiles>(file: F): ProtoFiles[F] {
  let types = loaded.get(file);
  if (types === undefined) {
    const definition = loadSync(file, {
      includeDirs: [PROTO_DIR],
      longs: Number,
      enums: String,
      defaults: true,
      oneofs: true,
      keepCase: false,
    });
    types = loadPackageDefinition(markUnreadable(definition));
    loaded.set(file, types);
  }
  // The generated types describe exactly this file loaded with exactly these options.
  return types as ProtoFiles[F];
}

/** Makes an unreadable answer distinct from a broken connection: grpc-js reports both as INTERNAL. */
function markUnreadable(definition: PackageDefinition): PackageDefinition {
  const marked = Object.entries(definition).map(([name, type]) => [name, isService(type) ? readAnswers(type) : type]);
  return Object.fromEntries(marked) as PackageDefinition;
}

function isService(type: PackageDefinition[string]): type is ServiceDefinition {
  return !('format' in type);
}

function readAnswers(service: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]) => {
    const responseDeserialize: typeof method.responseDeserialize = (bytes) => {
      try {
        return method.responseDeserialize(bytes);
      } catch (cause) {
        throw new Error(UNREADABLE_ANSWER, { cause });
      }
    };
    return [name, { ...method, responseDeserialize }];
  });
  return Object.fromEntries(methods) as ServiceDefinition;
}

/** Turns one message type into bytes and back, for messages that travel outside gRPC or inside a signature. */
export interface MessageCodec<In, Out> {
  encode(message: In): Buffer;
  decode(bytes: Buffer): Out;
}

/** The codec of a loaded message type, such as `loadDefinitions(…).isthmus.mesh.v1.BulkPreface`. */
export function messageCodec<In, Out>(type: MessageTypeDefinition<In, Out>): MessageCodec<In, Out> {
  return { encode: (message) => type.serialize(message), decode: (bytes) => type.deserialize(bytes) };
}
