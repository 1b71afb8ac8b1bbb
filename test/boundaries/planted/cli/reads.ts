// Breaks: cli-takes-shapes-from-the-contract
import type {} from '../server/store/knows.ts';
