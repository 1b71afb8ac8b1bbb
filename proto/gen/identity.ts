import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { AbandonRequest as _isthmus_identity_v1_AbandonRequest, AbandonRequest__Output as _isthmus_identity_v1_AbandonRequest__Output } from './isthmus/identity/v1/AbandonRequest.ts';
import type { AbandonResponse as _isthmus_identity_v1_AbandonResponse, AbandonResponse__Output as _isthmus_identity_v1_AbandonResponse__Output } from './isthmus/identity/v1/AbandonResponse.ts';
import type { BeginRenewalRequest as _isthmus_identity_v1_BeginRenewalRequest, BeginRenewalRequest__Output as _isthmus_identity_v1_BeginRenewalRequest__Output } from './isthmus/identity/v1/BeginRenewalRequest.ts';
import type { BeginRenewalResponse as _isthmus_identity_v1_BeginRenewalResponse, BeginRenewalResponse__Output as _isthmus_identity_v1_BeginRenewalResponse__Output } from './isthmus/identity/v1/BeginRenewalResponse.ts';
import type { BeginRequest as _isthmus_identity_v1_BeginRequest, BeginRequest__Output as _isthmus_identity_v1_BeginRequest__Output } from './isthmus/identity/v1/BeginRequest.ts';
import type { BeginResponse as _isthmus_identity_v1_BeginResponse, BeginResponse__Output as _isthmus_identity_v1_BeginResponse__Output } from './isthmus/identity/v1/BeginResponse.ts';
import type { ConfirmRequest as _isthmus_identity_v1_ConfirmRequest, ConfirmRequest__Output as _isthmus_identity_v1_ConfirmRequest__Output } from './isthmus/identity/v1/ConfirmRequest.ts';
import type { ConfirmResponse as _isthmus_identity_v1_ConfirmResponse, ConfirmResponse__Output as _isthmus_identity_v1_ConfirmResponse__Output } from './isthmus/identity/v1/ConfirmResponse.ts';
import type { EnrolRequest as _isthmus_identity_v1_EnrolRequest, EnrolRequest__Output as _isthmus_identity_v1_EnrolRequest__Output } from './isthmus/identity/v1/EnrolRequest.ts';
import type { EnrolResponse as _isthmus_identity_v1_EnrolResponse, EnrolResponse__Output as _isthmus_identity_v1_EnrolResponse__Output } from './isthmus/identity/v1/EnrolResponse.ts';
import type { EnrolledParent as _isthmus_identity_v1_EnrolledParent, EnrolledParent__Output as _isthmus_identity_v1_EnrolledParent__Output } from './isthmus/identity/v1/EnrolledParent.ts';
import type { EnrolmentClient as _isthmus_identity_v1_EnrolmentClient, EnrolmentDefinition as _isthmus_identity_v1_EnrolmentDefinition } from './isthmus/identity/v1/Enrolment.ts';
import type { IdentityClient as _isthmus_identity_v1_IdentityClient, IdentityDefinition as _isthmus_identity_v1_IdentityDefinition } from './isthmus/identity/v1/Identity.ts';
import type { RenewRequest as _isthmus_identity_v1_RenewRequest, RenewRequest__Output as _isthmus_identity_v1_RenewRequest__Output } from './isthmus/identity/v1/RenewRequest.ts';
import type { RenewResponse as _isthmus_identity_v1_RenewResponse, RenewResponse__Output as _isthmus_identity_v1_RenewResponse__Output } from './isthmus/identity/v1/RenewResponse.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  isthmus: {
    identity: {
      v1: {
        AbandonRequest: MessageTypeDefinition<_isthmus_identity_v1_AbandonRequest, _isthmus_identity_v1_AbandonRequest__Output>
        AbandonResponse: MessageTypeDefinition<_isthmus_identity_v1_AbandonResponse, _isthmus_identity_v1_AbandonResponse__Output>
        BeginRenewalRequest: MessageTypeDefinition<_isthmus_identity_v1_BeginRenewalRequest, _isthmus_identity_v1_BeginRenewalRequest__Output>
        BeginRenewalResponse: MessageTypeDefinition<_isthmus_identity_v1_BeginRenewalResponse, _isthmus_identity_v1_BeginRenewalResponse__Output>
        BeginRequest: MessageTypeDefinition<_isthmus_identity_v1_BeginRequest, _isthmus_identity_v1_BeginRequest__Output>
        BeginResponse: MessageTypeDefinition<_isthmus_identity_v1_BeginResponse, _isthmus_identity_v1_BeginResponse__Output>
        ConfirmRequest: MessageTypeDefinition<_isthmus_identity_v1_ConfirmRequest, _isthmus_identity_v1_ConfirmRequest__Output>
        ConfirmResponse: MessageTypeDefinition<_isthmus_identity_v1_ConfirmResponse, _isthmus_identity_v1_ConfirmResponse__Output>
        EnrolRequest: MessageTypeDefinition<_isthmus_identity_v1_EnrolRequest, _isthmus_identity_v1_EnrolRequest__Output>
        EnrolResponse: MessageTypeDefinition<_isthmus_identity_v1_EnrolResponse, _isthmus_identity_v1_EnrolResponse__Output>
        EnrolledParent: MessageTypeDefinition<_isthmus_identity_v1_EnrolledParent, _isthmus_identity_v1_EnrolledParent__Output>
        /**
         * For a peer without a certificate, over the service `enrol`. The joining node is always the gRPC client, also where it
         * was dialled and is the TLS server of the session.
         */
        Enrolment: SubtypeConstructor<typeof grpc.Client, _isthmus_identity_v1_EnrolmentClient> & { service: _isthmus_identity_v1_EnrolmentDefinition }
        /**
         * For a peer with a certificate, over the service `identity`.
         */
        Identity: SubtypeConstructor<typeof grpc.Client, _isthmus_identity_v1_IdentityClient> & { service: _isthmus_identity_v1_IdentityDefinition }
        RenewRequest: MessageTypeDefinition<_isthmus_identity_v1_RenewRequest, _isthmus_identity_v1_RenewRequest__Output>
        RenewResponse: MessageTypeDefinition<_isthmus_identity_v1_RenewResponse, _isthmus_identity_v1_RenewResponse__Output>
      }
    }
  }
}

