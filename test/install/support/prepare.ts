// Before the first test of this folder: makes the root that machines boot from, and sees whether one boots.
import { readFile, writeFile } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { baseRoot } from './base-root.ts';
import { Estate } from './estate.ts';
import { BootFailure } from './machine.ts';
import { lacksTools } from './needs.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the root. */
    base: string;
    /** Why machines do not boot here; '' where they do. */
    bootFailure: string;
  }
}

async function bootFailure(base: string): Promise<string> {
  try {
    await (await Estate.up(base, ['eu'])).down();
    return '';
  } catch (thrown) {
    if (thrown instanceof BootFailure) return thrown.message;
    throw thrown;
  }
}

/** Each systemd watches a dozen things, and all machines count as one user. */
const INOTIFY = { file: '/proc/sys/fs/inotify/max_user_instances', least: 1024 };

/** Lets many machines watch files at once; resolves with the function that undoes it. */
async function allowWatching(): Promise<() => Promise<void>> {
  const { file, least } = INOTIFY;
  const before = await readFile(file, 'utf8');
  if (Number(before) >= least) return () => Promise.resolve();
  await writeFile(file, String(least));
  return () => writeFile(file, before);
}

export default async function prepare({ provide }: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (lacksTools()) return undefined;
  const undo = await allowWatching();
  const base = await baseRoot();
  provide('base', base);
  provide('bootFailure', await bootFailure(base));
  return undo;
}
