// Breaks: nothing-unresolvable
import './is-not-there.ts';
