// Breaks: generated-stands-alone
import '../../lib/leaf.ts';
