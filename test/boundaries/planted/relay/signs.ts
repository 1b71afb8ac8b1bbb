// Breaks: authority-only-in-the-server
import '../certs/authority.ts';
