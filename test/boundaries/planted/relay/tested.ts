// Breaks: product-never-imports-tests
import '../test/support/thing.ts';
