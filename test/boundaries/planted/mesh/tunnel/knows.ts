// Breaks: mesh-tunnel-below-link
import '../link/session.ts';
