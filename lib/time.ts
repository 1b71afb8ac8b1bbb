// Lengths of time that several modules reckon with.

export const DAY_MS = 86_400_000;
