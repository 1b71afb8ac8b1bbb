// What an orchestrator asks of the process.
import { Type } from 'typebox';

export const ProbeStatus = Type.Object({ status: Type.String() }, { $id: 'ProbeStatus' });
