// Before the first test of this folder: makes the root that machines boot from, and sees whether one boots.
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

export default async function prepare({ provide }: TestProject): Promise<void> {
  if (lacksTools()) return;
  const base = await baseRoot();
  provide('base', base);
  provide('bootFailure', await bootFailure(base));
}
