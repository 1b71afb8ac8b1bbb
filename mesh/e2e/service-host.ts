// The services of this node: accepts the end-to-end session of a tunnel that ends here and hands it to the handler.
import type { Duplex } from 'node:stream';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { ENROL_SERVICE, type ServiceTable } from '../services.ts';
import type { Trust } from '../trust.ts';
import type { TunnelRequest } from '../tunnel/request.ts';
import type { MeshStream } from '../types.ts';
import { OpenSessions } from './open-sessions.ts';
import { acceptSession } from './session.ts';
import { stopAfter } from '../../lib/async/deadline.ts';

export interface ServiceHostDeps {
  readonly services: ServiceTable;
  readonly trust: Trust;
  readonly log: Logger;
}

export class ServiceHost {
  readonly sessions: OpenSessions;
  readonly #deps: ServiceHostDeps;
  readonly #handlers = new Map<string, (stream: MeshStream) => void>();
  #onEnrol: ((stream: Duplex) => void) | undefined;

  constructor(deps: ServiceHostDeps) {
    this.#deps = deps;
    this.sessions = new OpenSessions(deps.trust);
  }

  /** Registers the one handler of a service. ACCESS_MISSING when the table lets nobody open it. */
  listen(service: string, onStream: (stream: MeshStream) => void): void {
    const openedBy = this.#deps.services.get(service)?.openedBy ?? [];
    if (openedBy.length === 0) throw new IsthmusError('ACCESS_MISSING', `nobody may open the service ${service}`);
    if (this.#handlers.has(service)) throw new IsthmusError('INTERNAL', `the service ${service} has a handler already`);
    this.#handlers.set(service, onStream);
  }

  /** Registers the handler for the bare streams of nodes that enrol. */
  listenEnrol(onStream: (stream: Duplex) => void): void {
    this.#onEnrol = onStream;
  }

  /** Accepts a tunnel that `by`, a neighbour or this node, brought. SERVICE_UNKNOWN when there is no handler. */
  async accept(request: TunnelRequest, by: string, accept: () => Promise<Duplex>): Promise<void> {
    const { service, source, crossed, sourceAddress } = request;
    if (service === ENROL_SERVICE && this.#onEnrol !== undefined) {
      this.acceptEnrol(await accept());
      return;
    }
    const { trust, log, services } = this.#deps;
    const [rule, onStream] = [services.get(service), this.#handlers.get(service)];
    if (rule === undefined || onStream === undefined) {
      throw new IsthmusError('SERVICE_UNKNOWN', `${trust.identity.current().node} does not serve ${service}`);
    }
    const transport = await accept();
    try {
      const stream = await stopAfter(
        request.deadlineMs,
        () => transport.destroy(),
        () =>
          acceptSession(transport, trust, {
            ...rule,
            name: service,
            by,
            via: crossed[0] ?? by,
            address: sourceAddress,
          }),
      );
      this.sessions.add(stream, 'there');
      if (!stream.destroyed) onStream(stream);
    } catch (thrown) {
      // The tunnel itself was accepted: its other endpoint has received the denial inside it.
      const error = IsthmusError.from(thrown);
      log.warn({ source, service, code: error.code, err: error.message }, 'end-to-end session denied');
    }
  }

  /** Hands over the bare stream of a node that enrols; closes it where nobody handles it. */
  acceptEnrol(stream: Duplex): void {
    if (this.#onEnrol === undefined) {
      stream.destroy();
      return;
    }
    stream.on('error', () => undefined);
    this.#onEnrol(stream);
  }
}
