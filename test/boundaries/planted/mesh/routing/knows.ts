// Breaks: mesh-routing-below-mesh
import '../mesh.ts';
