// A mesh that leads nowhere, for what connects by URLs alone.
import { Denials } from '../../mesh/denials.ts';

/** Every dial fails; what is denied is recorded in `denials`. */
export function noMesh() {
  return { dial: () => Promise.reject(new Error('there is no mesh here')), denials: new Denials() };
}
