// What starts a process for a test: on this machine, or in a host of the lab.
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';

export type Spawner = (command: string, args: readonly string[], options: SpawnOptions) => ChildProcess;

/** Starts a process on this machine. */
export const onThisMachine: Spawner = (command, args, options) => spawn(command, args, options);
