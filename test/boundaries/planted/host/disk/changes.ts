// Breaks: host-disk-is-lowest
import '../versions/change.ts';
