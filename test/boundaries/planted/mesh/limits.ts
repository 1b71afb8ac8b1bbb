// Breaks: mesh-base-is-lowest
import './tunnel/control.ts';
