// Breaks: parts-talk-over-the-wire
import '../relay/start.ts';
