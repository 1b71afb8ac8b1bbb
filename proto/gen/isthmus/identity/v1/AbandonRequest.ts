// Original file: proto/isthmus/identity/v1/identity.proto


export interface AbandonRequest {
}

export interface AbandonRequest__Output {
}
