// The lines of steps that have settled, each once, under the headings of their stages.
import { STAGES, type Stage, type Task } from '../../contract/tasks.ts';
import { settledLines } from './task.ts';

const STAGE_HEADINGS: Readonly<Record<Stage, string>> = {
  beforeAcquisition: 'BEFORE ACQUISITION',
  acquisition: 'ACQUISITION',
  steps: 'STEPS',
};

export class SettledSteps {
  readonly #shown = new Set<string>();
  /** The stage whose heading was shown last; its steps and those before are shown. */
  #stage: Stage | undefined;

  /** The lines that are new, but for the steps of stages that have no heading yet. */
  take(task: Task): string[] {
    return settledLines(task).flatMap(({ key, stage, line }) => {
      if (this.#shown.has(key) || (stage !== undefined && !this.#hasBegun(stage))) return [];
      this.#shown.add(key);
      return line;
    });
  }

  /** The heading of a stage that begins. */
  begin(stage: Stage): string {
    this.#stage = stage;
    return STAGE_HEADINGS[stage];
  }

  #hasBegun(stage: Stage): boolean {
    return this.#stage !== undefined && STAGES.indexOf(stage) <= STAGES.indexOf(this.#stage);
  }
}
