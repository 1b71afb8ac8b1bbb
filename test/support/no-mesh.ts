// A mesh that leads nowhere, for what connects by URLs alone.
import { Refusals } from '../../mesh/denials.ts';

/** Every dial fails; what is refused is noted in `refusals`. */
export function noMesh() {
  return { dial: () => Promise.reject(new Error('there is no mesh here')), refusals: new Refusals() };
}
