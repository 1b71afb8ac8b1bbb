// Breaks: no-cycles
import './cycle-b.ts';
