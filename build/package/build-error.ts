// What stops a build and can be mended by whoever runs it: said in a line, without a stack.

/** Of a command line, or of what it names, that cannot be used: nothing was built. */
const USAGE = 2;
/** Of the machine, or a program on it. */
export const FAILED = 1;

/** `what; what to do`. Anything else that is thrown is a fault of the build itself. */
export class BuildError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = USAGE, options: ErrorOptions = {}) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
