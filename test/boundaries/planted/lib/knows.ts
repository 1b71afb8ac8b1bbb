// Breaks: lib-knows-no-component
import type {} from '../mesh/mesh.ts';
