// Breaks: no-orphans
export const orphan = 1;
