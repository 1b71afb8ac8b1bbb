// Breaks: certs-knows-no-mesh
import '../mesh/mesh.ts';
