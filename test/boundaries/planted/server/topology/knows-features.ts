// Breaks: server-foundations-below-features
import '../deployments/deploy.ts';
