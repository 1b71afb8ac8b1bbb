// Original file: proto/isthmus/mirror/v1/mirror.proto


export interface KeepResponse {
}

export interface KeepResponse__Output {
}
