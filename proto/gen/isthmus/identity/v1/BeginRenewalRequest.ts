// Original file: proto/isthmus/identity/v1/identity.proto


export interface BeginRenewalRequest {
}

export interface BeginRenewalRequest__Output {
}
