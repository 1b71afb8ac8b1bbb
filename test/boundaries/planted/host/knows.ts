// Breaks: host-knows-no-component
import '../mesh/mesh.ts';
