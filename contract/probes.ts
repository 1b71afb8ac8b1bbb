// Liveness and readiness probes.
import { Type } from 'typebox';

export const ProbeStatus = Type.Object({ status: Type.String() }, { $id: 'ProbeStatus' });
