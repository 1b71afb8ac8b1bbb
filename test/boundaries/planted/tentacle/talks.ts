// Breaks: components-talk-over-the-wire
import '../relay/start.ts';
