// What a node judges its peers by, and where it records whom it denied something.
import type { IdentityStore } from '../certs/identity.ts';
import type { RevocationList } from '../certs/revocations.ts';
import type { Denials } from './denials.ts';
import type { StartPolicy, ToldStart } from './starts.ts';

export interface Trust {
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly denials: Denials;
  /** Servers only: which start of a node may act as it. */
  readonly starts?: {
    readonly admit: (told: ToldStart) => Promise<void>;
    readonly isCurrent: StartPolicy['isCurrent'];
  };
}
