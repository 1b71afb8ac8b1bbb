// Breaks: contract-stands-alone
import type {} from '../lib/leaf.ts';
