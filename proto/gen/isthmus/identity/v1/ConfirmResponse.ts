// Original file: proto/isthmus/identity/v1/identity.proto


export interface ConfirmResponse {
}

export interface ConfirmResponse__Output {
}
