// Original file: proto/isthmus/mirror/v1/mirror.proto


export interface StatusRequest {
}

export interface StatusRequest__Output {
}
