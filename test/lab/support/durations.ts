// How long faults last in the lab. Where ISTHMUS_LONG is set they last for minutes, and nodes have the limits of the
// product; else every node is started with shorter limits, and the faults are shorter in proportion.
export const isLong = (process.env['ISTHMUS_LONG'] ?? '') !== '';

/** Silence after which a link counts as lost. */
export const linkTimeoutS = isLong ? 15 : 5;
/** How long a cancel waits for a machine that does not answer. */
const cancelTimeoutS = 20;

/** The limits of nodes, for tests that wait until they have passed. */
export const limits = isLong ? {} : { linkTimeoutS, cancelTimeoutS };
