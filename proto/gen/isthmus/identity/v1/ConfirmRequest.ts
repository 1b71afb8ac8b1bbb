// Original file: proto/isthmus/identity/v1/identity.proto


export interface ConfirmRequest {
}

export interface ConfirmRequest__Output {
}
