// What other features may use; imported by a planted file that breaks nothing.
export { leaf } from '../../lib/leaf.ts';
