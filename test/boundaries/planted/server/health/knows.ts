// Breaks: server-features-by-their-index
import '../deployments/deploy.ts';
