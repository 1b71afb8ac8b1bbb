import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { AttachFrame as _isthmus_mesh_v1_AttachFrame, AttachFrame__Output as _isthmus_mesh_v1_AttachFrame__Output } from './isthmus/mesh/v1/AttachFrame.ts';
import type { BulkAck as _isthmus_mesh_v1_BulkAck, BulkAck__Output as _isthmus_mesh_v1_BulkAck__Output } from './isthmus/mesh/v1/BulkAck.ts';
import type { BulkAcks as _isthmus_mesh_v1_BulkAcks, BulkAcks__Output as _isthmus_mesh_v1_BulkAcks__Output } from './isthmus/mesh/v1/BulkAcks.ts';
import type { BulkPreface as _isthmus_mesh_v1_BulkPreface, BulkPreface__Output as _isthmus_mesh_v1_BulkPreface__Output } from './isthmus/mesh/v1/BulkPreface.ts';
import type { CloseTunnel as _isthmus_mesh_v1_CloseTunnel, CloseTunnel__Output as _isthmus_mesh_v1_CloseTunnel__Output } from './isthmus/mesh/v1/CloseTunnel.ts';
import type { Credential as _isthmus_mesh_v1_Credential, Credential__Output as _isthmus_mesh_v1_Credential__Output } from './isthmus/mesh/v1/Credential.ts';
import type { Goodbye as _isthmus_mesh_v1_Goodbye, Goodbye__Output as _isthmus_mesh_v1_Goodbye__Output } from './isthmus/mesh/v1/Goodbye.ts';
import type { Hello as _isthmus_mesh_v1_Hello, Hello__Output as _isthmus_mesh_v1_Hello__Output } from './isthmus/mesh/v1/Hello.ts';
import type { LinkClient as _isthmus_mesh_v1_LinkClient, LinkDefinition as _isthmus_mesh_v1_LinkDefinition } from './isthmus/mesh/v1/Link.ts';
import type { NodeStart as _isthmus_mesh_v1_NodeStart, NodeStart__Output as _isthmus_mesh_v1_NodeStart__Output } from './isthmus/mesh/v1/NodeStart.ts';
import type { OpenTunnel as _isthmus_mesh_v1_OpenTunnel, OpenTunnel__Output as _isthmus_mesh_v1_OpenTunnel__Output } from './isthmus/mesh/v1/OpenTunnel.ts';
import type { Ping as _isthmus_mesh_v1_Ping, Ping__Output as _isthmus_mesh_v1_Ping__Output } from './isthmus/mesh/v1/Ping.ts';
import type { Pong as _isthmus_mesh_v1_Pong, Pong__Output as _isthmus_mesh_v1_Pong__Output } from './isthmus/mesh/v1/Pong.ts';
import type { RevocationList as _isthmus_mesh_v1_RevocationList, RevocationList__Output as _isthmus_mesh_v1_RevocationList__Output } from './isthmus/mesh/v1/RevocationList.ts';
import type { RevocationStatement as _isthmus_mesh_v1_RevocationStatement, RevocationStatement__Output as _isthmus_mesh_v1_RevocationStatement__Output } from './isthmus/mesh/v1/RevocationStatement.ts';
import type { RevokedNode as _isthmus_mesh_v1_RevokedNode, RevokedNode__Output as _isthmus_mesh_v1_RevokedNode__Output } from './isthmus/mesh/v1/RevokedNode.ts';
import type { SessionCredential as _isthmus_mesh_v1_SessionCredential, SessionCredential__Output as _isthmus_mesh_v1_SessionCredential__Output } from './isthmus/mesh/v1/SessionCredential.ts';
import type { SessionCredentialAnswer as _isthmus_mesh_v1_SessionCredentialAnswer, SessionCredentialAnswer__Output as _isthmus_mesh_v1_SessionCredentialAnswer__Output } from './isthmus/mesh/v1/SessionCredentialAnswer.ts';
import type { SessionHello as _isthmus_mesh_v1_SessionHello, SessionHello__Output as _isthmus_mesh_v1_SessionHello__Output } from './isthmus/mesh/v1/SessionHello.ts';
import type { TunnelError as _isthmus_mesh_v1_TunnelError, TunnelError__Output as _isthmus_mesh_v1_TunnelError__Output } from './isthmus/mesh/v1/TunnelError.ts';
import type { TunnelFrame as _isthmus_mesh_v1_TunnelFrame, TunnelFrame__Output as _isthmus_mesh_v1_TunnelFrame__Output } from './isthmus/mesh/v1/TunnelFrame.ts';
import type { TunnelOpened as _isthmus_mesh_v1_TunnelOpened, TunnelOpened__Output as _isthmus_mesh_v1_TunnelOpened__Output } from './isthmus/mesh/v1/TunnelOpened.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  isthmus: {
    mesh: {
      v1: {
        AttachFrame: MessageTypeDefinition<_isthmus_mesh_v1_AttachFrame, _isthmus_mesh_v1_AttachFrame__Output>
        BulkAck: MessageTypeDefinition<_isthmus_mesh_v1_BulkAck, _isthmus_mesh_v1_BulkAck__Output>
        BulkAcks: MessageTypeDefinition<_isthmus_mesh_v1_BulkAcks, _isthmus_mesh_v1_BulkAcks__Output>
        BulkPreface: MessageTypeDefinition<_isthmus_mesh_v1_BulkPreface, _isthmus_mesh_v1_BulkPreface__Output>
        CloseTunnel: MessageTypeDefinition<_isthmus_mesh_v1_CloseTunnel, _isthmus_mesh_v1_CloseTunnel__Output>
        Credential: MessageTypeDefinition<_isthmus_mesh_v1_Credential, _isthmus_mesh_v1_Credential__Output>
        Goodbye: MessageTypeDefinition<_isthmus_mesh_v1_Goodbye, _isthmus_mesh_v1_Goodbye__Output>
        Hello: MessageTypeDefinition<_isthmus_mesh_v1_Hello, _isthmus_mesh_v1_Hello__Output>
        /**
         * The listener serves it; the connector is the gRPC client.
         */
        Link: SubtypeConstructor<typeof grpc.Client, _isthmus_mesh_v1_LinkClient> & { service: _isthmus_mesh_v1_LinkDefinition }
        NodeStart: MessageTypeDefinition<_isthmus_mesh_v1_NodeStart, _isthmus_mesh_v1_NodeStart__Output>
        OpenTunnel: MessageTypeDefinition<_isthmus_mesh_v1_OpenTunnel, _isthmus_mesh_v1_OpenTunnel__Output>
        Ping: MessageTypeDefinition<_isthmus_mesh_v1_Ping, _isthmus_mesh_v1_Ping__Output>
        Pong: MessageTypeDefinition<_isthmus_mesh_v1_Pong, _isthmus_mesh_v1_Pong__Output>
        Relation: EnumTypeDefinition
        RevocationList: MessageTypeDefinition<_isthmus_mesh_v1_RevocationList, _isthmus_mesh_v1_RevocationList__Output>
        RevocationStatement: MessageTypeDefinition<_isthmus_mesh_v1_RevocationStatement, _isthmus_mesh_v1_RevocationStatement__Output>
        RevokedNode: MessageTypeDefinition<_isthmus_mesh_v1_RevokedNode, _isthmus_mesh_v1_RevokedNode__Output>
        ServiceClass: EnumTypeDefinition
        SessionCredential: MessageTypeDefinition<_isthmus_mesh_v1_SessionCredential, _isthmus_mesh_v1_SessionCredential__Output>
        SessionCredentialAnswer: MessageTypeDefinition<_isthmus_mesh_v1_SessionCredentialAnswer, _isthmus_mesh_v1_SessionCredentialAnswer__Output>
        SessionHello: MessageTypeDefinition<_isthmus_mesh_v1_SessionHello, _isthmus_mesh_v1_SessionHello__Output>
        TunnelError: MessageTypeDefinition<_isthmus_mesh_v1_TunnelError, _isthmus_mesh_v1_TunnelError__Output>
        TunnelFrame: MessageTypeDefinition<_isthmus_mesh_v1_TunnelFrame, _isthmus_mesh_v1_TunnelFrame__Output>
        TunnelOpened: MessageTypeDefinition<_isthmus_mesh_v1_TunnelOpened, _isthmus_mesh_v1_TunnelOpened__Output>
      }
    }
  }
}

