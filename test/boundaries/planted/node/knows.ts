// Breaks: node-knows-no-component
import '../relay/start.ts';
