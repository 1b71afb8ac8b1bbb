// Breaks: components-only-tell-their-status
import '../host/layout.ts';
