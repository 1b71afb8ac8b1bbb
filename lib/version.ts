// The version of this software, as its manifest has it.
import { readFileSync } from 'node:fs';
import { softwarePath } from './software.ts';

const MANIFEST = JSON.parse(readFileSync(softwarePath('package.json'), 'utf8')) as { readonly version: string };

export const SOFTWARE_VERSION: string = MANIFEST.version;
