// Breaks: server-domains-below-api
import '../api/api.ts';
