// What no part may import.
export const main = 1;
