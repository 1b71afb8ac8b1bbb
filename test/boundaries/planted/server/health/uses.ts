// Breaks no rule: it uses another feature by its index.
export { leaf } from '../projects/index.ts';
