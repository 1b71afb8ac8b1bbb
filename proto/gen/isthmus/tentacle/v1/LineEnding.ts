// Original file: proto/isthmus/tentacle/v1/tentacle.proto

/**
 * How a line of a log ends in the output.
 */
export const LineEnding = {
  NEWLINE: 'NEWLINE',
  /**
   * Not yet: the next line of the stream goes on with it.
   */
  OPEN: 'OPEN',
  /**
   * By a carriage return: the next line of the stream is written over it.
   */
  RETURN: 'RETURN',
} as const;

/**
 * How a line of a log ends in the output.
 */
export type LineEnding =
  | 'NEWLINE'
  | 0
  /**
   * Not yet: the next line of the stream goes on with it.
   */
  | 'OPEN'
  | 1
  /**
   * By a carriage return: the next line of the stream is written over it.
   */
  | 'RETURN'
  | 2

/**
 * How a line of a log ends in the output.
 */
export type LineEnding__Output = typeof LineEnding[keyof typeof LineEnding]
