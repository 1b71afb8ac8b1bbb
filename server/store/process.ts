// What a project deploys, as it is stored: an ordered process, and the packages a release pinned for it.

export interface StepScript {
  readonly interpreter: string;
  readonly body: string;
}

interface StepBase {
  /** A slug, unique in the process. */
  readonly name: string;
  readonly targetRoles: readonly string[];
  readonly timeLimitS?: number;
}

export type ProcessStep =
  | (StepBase & { readonly kind: 'script'; readonly script: StepScript })
  | (StepBase & {
      readonly kind: 'package';
      readonly package: { readonly id: string };
      readonly preDeploy?: StepScript;
      readonly postDeploy?: StepScript;
      readonly substituteIn?: readonly string[];
    });

export interface PinnedPackage {
  /** The name of the step it is for. */
  readonly step: string;
  readonly id: string;
  readonly version: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly format: 'tar.gz' | 'zip' | 'nupkg';
}
