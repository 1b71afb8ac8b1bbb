// Breaks: mesh-knows-no-component
import '../relay/start.ts';
