// A node that speaks the real wire of upgrades, with a host that goes from phase to phase each time it is asked. It
// fetches nothing, and its restart cuts every connection.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { IsthmusError } from '../../contract/errors.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost } from '../../lib/grpc/server.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { BeginRequest__Output } from '../../proto/gen/isthmus/upgrade/v1/BeginRequest.ts';
import type { UpgradeHandlers } from '../../proto/gen/isthmus/upgrade/v1/Upgrade.ts';
import type { UpgradeStatus__Output } from '../../proto/gen/isthmus/upgrade/v1/UpgradeStatus.ts';

const { service } = loadDefinitions('isthmus/upgrade/v1/upgrade.proto').isthmus.upgrade.v1.Upgrade;

type Phase = UpgradeStatus__Output['phase'];

/** The phases of an upgrade that works until it is to be confirmed. */
const WORKING: readonly Phase[] = ['FETCHING', 'ORDERED', 'UNPACKING', 'RESTARTING', 'AWAITING_CONFIRMATION'];

export class FakeUpgradeNode {
  version = '0.1.0';
  architecture = 'x64';
  unsupported = '';
  /** Does not serve upgrades, as software that is too old. */
  isOld = false;
  /** Answers the next begins with this. */
  denial: IsthmusError | undefined;
  /** So many questions after an order are answered with UPGRADE_BUSY: its host carries out another one. */
  busyQuestions = 0;
  /** What follows the begin, one phase for each question; the last one stays. */
  phases: readonly Phase[] = WORKING;
  /** Stays in this phase while it is set. */
  holdsAt: Phase | undefined;
  /** Questions while it awaits confirmation, after which it goes back; no limit by default. */
  questionsAllowed = Infinity;
  onRestart: () => unknown = () => undefined;
  readonly begins: BeginRequest__Output[] = [];
  readonly confirmed: string[] = [];
  readonly withdrawn: string[] = [];
  /** Questions after its state, of any upgrade. */
  asked = 0;
  port = 0;
  #id = '';
  #before = '';
  #at = -1;
  #end: { readonly phase: Phase; readonly code: string; readonly detail: string } | undefined;
  readonly #host = new GrpcHost({ log: silentLogger() });
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor() {
    const access = { roles: ['server'] };
    this.#host.add<UpgradeHandlers>(
      service,
      {
        Begin: ({ request }) => this.#begin(request),
        Status: ({ request }) => {
          this.asked += 1;
          if (request.id === this.#id && this.#answer().phase === 'ORDERED' && this.busyQuestions > 0) {
            this.busyQuestions -= 1;
            throw new IsthmusError('UPGRADE_BUSY', 'the host is busy with upgrade 7');
          }
          return this.#status(request.id);
        },
        Confirm: ({ request }) => {
          this.confirmed.push(request.id);
          this.#end ??= { phase: 'CONFIRMED', code: '', detail: '' };
          return this.#status(request.id);
        },
        Withdraw: ({ request }) => {
          this.withdrawn.push(request.id);
          if (this.#at <= WORKING.indexOf('ORDERED')) this.#id = '';
          return this.#status(request.id);
        },
      },
      { Begin: access, Status: access, Confirm: access, Withdraw: access },
    );
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      this.#host.accept(Object.assign(socket, { peer: { node: 'server-1', role: 'server' } }));
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Not reachable any more, until `listen`. */
  async away(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.away();
    await this.#host.stop();
  }

  #begin(request: BeginRequest__Output): UpgradeStatus__Output {
    if (this.denial !== undefined) throw this.denial;
    if (this.#id !== request.id) {
      this.begins.push(request);
      [this.#id, this.#before, this.#at, this.#end] = [request.id, this.version, 0, undefined];
    }
    return this.#answer();
  }

  #status(id: string): UpgradeStatus__Output {
    if (id === '' || id !== this.#id) return this.#about('UPGRADE_PHASE_UNSPECIFIED');
    if (this.holdsAt !== undefined && this.phases[this.#at] === this.holdsAt) return this.#answer();
    this.#at += 1;
    const restarts = this.phases[this.#at] === 'RESTARTING';
    if (restarts) {
      this.version = /^isthmus-(.*)-linux/.exec(this.begins.at(-1)!.tarball)![1]!;
      this.onRestart();
      for (const socket of this.#sockets) setImmediate(() => socket.destroy());
    }
    if (this.#at - this.phases.length >= this.questionsAllowed && this.#end === undefined) {
      this.version = this.#before;
      this.#end = { phase: 'WENT_BACK', code: 'UPGRADE_NOT_CONFIRMED', detail: 'not confirmed in time' };
    }
    return this.#answer();
  }

  #answer(): UpgradeStatus__Output {
    const phase = this.#end?.phase ?? this.phases[Math.min(this.#at, this.phases.length - 1)]!;
    return { ...this.#about(phase), code: this.#end?.code ?? '', detail: this.#end?.detail ?? '' };
  }

  #about(phase: Phase): UpgradeStatus__Output {
    const { version: softwareVersion, architecture, unsupported } = this;
    const isFetching = phase === 'FETCHING';
    return {
      ...{ softwareVersion, architecture, unsupported, phase, code: '', detail: '' },
      ...{ receivedBytes: isFetching ? 40 : 0, totalBytes: isFetching ? 100 : 0, from: isFetching ? 'mirror-eu' : '' },
    };
  }
}
