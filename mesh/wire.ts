// The messages and the service of a link, loaded once from proto/isthmus/mesh/v1/link.proto.
import { loadDefinitions, messageCodec } from '../lib/grpc/load.ts';

const loaded = loadDefinitions('isthmus/mesh/v1/link.proto').isthmus.mesh.v1;

export const LinkClientConstructor = loaded.Link;
export const linkService = loaded.Link.service;
export const bulkPrefaceCodec = messageCodec(loaded.BulkPreface);
export const sessionCredentialCodec = messageCodec(loaded.SessionCredential);
export const sessionCredentialAnswerCodec = messageCodec(loaded.SessionCredentialAnswer);
export const sessionHelloCodec = messageCodec(loaded.SessionHello);
export const tunnelOpenedCodec = messageCodec(loaded.TunnelOpened);
