// Breaks: contract-stands-alone
import '../lib/leaf.ts';
