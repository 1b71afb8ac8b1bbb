// What the stream of a task tells of the upgrade of one node.
import type { IsthmusError } from '../../contract/errors.ts';
import type { UpgradeStatus__Output } from '../../proto/gen/isthmus/upgrade/v1/UpgradeStatus.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { TaskContext } from '../tasks/context.ts';

type Phase = UpgradeStatus__Output['phase'];

/** The versions of an upgrade. */
interface Versions {
  readonly version: string;
  readonly before: string;
}

/** Readers want to see progress, not every chunk. */
const PROGRESS_EVERY_MS = 2_000;

/** Each phase that is told, once it begins. */
const BEGINNINGS: Readonly<Partial<Record<Phase, (versions: Versions) => string>>> = {
  FETCHING: ({ version, before }) => `runs ${before}, and fetches ${version}`,
  ORDERED: ({ version }) => `has ${version}, whose signature is right`,
  UNPACKING: ({ version }) => `its host unpacks ${version}`,
  RESTARTING: ({ version }) => `restarts with ${version}`,
  AWAITING_CONFIRMATION: ({ version }) => `runs ${version}, which is to be confirmed`,
  CONFIRMED: ({ version }) => `keeps ${version}`,
  GOING_BACK: ({ version, before }) => `goes back from ${version} to ${before}`,
};

export class UpgradeMessages {
  readonly #context: TaskContext;
  readonly #ticket: Pick<Ticket, 'id' | 'target'>;
  #toldProgressAtMs = -Infinity;
  #warning: string | undefined;

  constructor(context: TaskContext, ticket: Pick<Ticket, 'id' | 'target'>) {
    this.#context = context;
    this.#ticket = ticket;
  }

  /** The last warning. */
  get warning(): string | undefined {
    return this.#warning;
  }

  /** Tells a phase that has begun, and now and then the progress of the download. */
  async status(status: UpgradeStatus__Output, versions: Versions, isNewPhase: boolean): Promise<void> {
    const { phase, code, detail, receivedBytes, totalBytes, from } = status;
    const words = isNewPhase ? BEGINNINGS[phase]?.(versions) : undefined;
    if (words !== undefined) await this.#tell(code === '' ? words : `${words}: ${detail} (${code})`);
    if (phase !== 'FETCHING' || from === '' || performance.now() < this.#toldProgressAtMs + PROGRESS_EVERY_MS) return;
    this.#toldProgressAtMs = performance.now();
    const percent = totalBytes === 0 ? 0 : Math.floor((100 * receivedBytes) / totalBytes);
    await this.#tell(`${percent} % from ${from}`, { receivedBytes, totalBytes, from });
  }

  /** Tells what is wrong, once until it is something else. */
  async warn(text: string, error?: IsthmusError): Promise<void> {
    if (text === this.#warning) return;
    this.#warning = text;
    const { target: machine } = this.#ticket;
    const { code, hop, remedy, action } = error ?? {};
    await this.#context.message(`${machine}: ${text}`, {
      ...{ machine, level: 'warning', code },
      ...(error === undefined ? {} : { data: { hop, ...(action === undefined ? {} : { remedy, action }) } }),
    });
  }

  async #tell(text: string, data?: object): Promise<void> {
    const { id: ticket, target: machine } = this.#ticket;
    await this.#context.message(`${machine}: ${text}`, { machine, ticket, ...(data === undefined ? {} : { data }) });
  }
}
