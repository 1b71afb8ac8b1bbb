// What no component may import.
export const main = 1;
