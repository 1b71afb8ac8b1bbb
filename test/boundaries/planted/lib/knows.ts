// Breaks: lib-knows-no-part
import type {} from '../mesh/mesh.ts';
