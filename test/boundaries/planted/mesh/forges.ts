// Breaks: forge-only-in-certs
import 'node-forge';
