// Breaks: database-only-in-the-store
import 'node:sqlite';
