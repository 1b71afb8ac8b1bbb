// Imported by the planted violations.
export { leaf } from '../../lib/leaf.ts';
