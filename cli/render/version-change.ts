// What is said while the version of a host is changed: a line for each step, and for what is wrong meanwhile.
import { existsSync } from 'node:fs';
import type { HostLayout } from '../../host/layout.ts';
import type { Progress } from '../../host/versions/change.ts';
import type { Change } from '../../host/versions/journal.ts';
import { compareVersions } from '../../lib/package-versions.ts';

/** The lines for a step of a change, or for what is still wrong with the services; none where there is nothing to tell. */
export function progressLines(layout: HostLayout, progress: Progress): readonly string[] {
  if (!('phase' in progress)) return [`  ${progress.message}`];
  const { from, to } = progress;
  switch (progress.phase) {
    case 'unpacking':
      return from === null || progress.why === 'go-back' ? [] : [`bringing ${to} to ${layout.versions}`];
    case 'switching':
      return from === null ? [] : [`switching from ${from} to ${to}`, ...downgradeLines(layout, from, to)];
    case 'restarting':
      return progress.services.length === 0 ? [] : [`restarting ${rolesOf(progress)}`];
    case 'awaiting-confirmation':
      if (progress.services.length === 0) return [];
      return [`waiting for ${rolesOf(progress)} to be as well as before, ${progress.confirmWithinS} s at most`];
    case 'going-back':
      return [`going back${from === null ? '' : ` to ${from}`}: ${progress.message} (${progress.code})`];
    case 'confirmed':
    case 'went-back':
    case 'failed':
      return [];
  }
}

function downgradeLines(layout: HostLayout, from: string, to: string): readonly string[] {
  if (compareVersions(to, from) >= 0) return [];
  const warning = `warning: ${to} is lower than ${from}: this is a downgrade`;
  if (!existsSync(layout.dataDir('server'))) return [warning];
  return [
    `${warning}, and nodes of the mesh may now be ahead of their server, which is not supported`,
    '  `isthmus mesh status` names them, `isthmus host go-back` on their hosts takes them back',
  ];
}

function rolesOf({ services }: Extract<Change, { readonly services: unknown }>): string {
  return services.map(({ role }) => `the ${role}`).join(', ');
}
