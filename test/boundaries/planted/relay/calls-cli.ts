// Breaks: cli-is-on-top
import '../cli/main.ts';
