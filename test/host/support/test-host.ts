// A host below a temporary folder, with services that are not real.
import { join } from 'node:path';
import type { IsthmusError } from '../../../contract/errors.ts';
import { hostLayout } from '../../../host/layout.ts';
import type { Host } from '../../../host/versions/change.ts';
import { FakeServices } from './fake-services.ts';
import { makeTree } from './software.ts';

/** Shorter than the product's, so that what must take its time does not take the test's. */
const TIMES = { pollMs: 1, steadyMs: 5 };

export interface TestHost extends Host {
  readonly services: FakeServices;
  /** What it was told of. */
  readonly problems: readonly IsthmusError[];
  /** Makes the tree of a version beside the host. */
  tree(...given: TreeArguments): string;
}

type TreeArguments = Parameters<typeof makeTree> extends [string, ...infer Rest] ? Rest : never;

/** A host in the folder `host` of `folder`; the trees that it makes are in `trees`. */
export function testHost(folder: string, changed: Partial<Omit<Host, 'services'>> = {}, trees = folder): TestHost {
  const layout = hostLayout(join(folder, 'host'));
  const problems: IsthmusError[] = [];
  return {
    layout,
    problems,
    onProblem: (error) => void problems.push(error),
    onProgress: () => undefined,
    services: new FakeServices(layout),
    times: TIMES,
    signal: new AbortController().signal,
    whenStopped: 'go-back',
    ...changed,
    tree: (...given) => makeTree(join(trees, `tree-${given[0]}`), ...given),
  };
}
