// Breaks: mesh-knows-no-part
import '../relay/start.ts';
