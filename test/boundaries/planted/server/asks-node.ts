// Breaks: server-without-node
import '../node/runtime.ts';
