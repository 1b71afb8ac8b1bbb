// Breaks: database-only-in-the-store
import 'kysely';
