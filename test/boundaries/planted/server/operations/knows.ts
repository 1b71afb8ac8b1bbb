// Breaks: server-operations-without-api
import '../api/api.ts';
