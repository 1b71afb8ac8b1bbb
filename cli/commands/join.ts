// `isthmus join`: lets this machine into a mesh.
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';

export function addJoinCommand(_program: Command, _cli: Cli): void {}
