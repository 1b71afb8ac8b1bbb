// Breaks: mesh-e2e-over-any-transport
import '../link/session.ts';
