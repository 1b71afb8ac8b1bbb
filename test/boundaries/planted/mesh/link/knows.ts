// Breaks: mesh-link-below-e2e
import '../e2e/session.ts';
