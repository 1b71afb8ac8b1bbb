// For a process that a test kills: keeps its compiled code for the next one at once, and not when it ends by itself.
import { flushCompileCache } from 'node:module';

setImmediate(() => flushCompileCache());
