// What a node judges its peers by, and where it records whom it denied something.
import type { IdentityStore } from '../certs/identity.ts';
import type { RevocationList } from '../certs/revocations.ts';
import type { Denials } from './denials.ts';

export interface Trust {
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly denials: Denials;
}
