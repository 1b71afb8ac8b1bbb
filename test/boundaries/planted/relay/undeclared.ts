// Breaks: product-on-declared-dependencies
import 'vitest';
