// Imported by the planted violations.
export const leaf = 1;
