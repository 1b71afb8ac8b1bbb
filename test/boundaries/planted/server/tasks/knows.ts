// Breaks: server-tasks-on-store-only
import '../deployments/deploy.ts';
