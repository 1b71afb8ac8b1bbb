// Original file: proto/isthmus/tentacle/v1/tentacle.proto


export interface HealthRequest {
}

export interface HealthRequest__Output {
}
