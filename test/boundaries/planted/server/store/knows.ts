// Breaks: server-store-is-lowest
import '../tasks/engine.ts';
