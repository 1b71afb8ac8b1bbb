import { describe, expect, it } from 'vitest';
import { nodeOf, ownLink } from '../../test/support/topology.ts';
import type { StoredEvent } from '../store/events/events.ts';
import { LiveTopology } from '../topology/live.ts';
import { HealthFollower } from './follow.ts';

type Followed = 'link.restored' | 'node.joined' | 'node.restored';

/** Two machines below the relay eu, one of them two hops away, and one at the server. */
function meshWith() {
  const up = new Set<string>();
  const topology = new LiveTopology();
  const links = () => ['eu', 'near-1'].map((peer) => ownLink(peer, { up: up.has(peer) }));
  topology.followLinks({ links, onLinksChanged: () => () => undefined });
  const nodes = [
    nodeOf('eu', 'relay', ['server']),
    nodeOf('eu-pci', 'relay', ['eu']),
    nodeOf('eu-1', 'tentacle', ['eu']),
    nodeOf('pci-1', 'tentacle', ['eu-pci']),
    nodeOf('near-1', 'tentacle', ['server']),
  ];
  topology.apply({ nodes, routes: new Map() });
  const checked: string[] = [];
  const follower = new HealthFollower({ topology, monitor: { checkSoon: (ids) => checked.push(...ids) } });
  follower.start();
  const tell = async (type: Followed, subject: string, data: object = {}) => {
    const { subscription } = follower;
    if (!('act' in subscription)) throw new Error('it acts');
    await subscription.act([{ type, subject, data } as unknown as StoredEvent<Followed>]);
  };
  return {
    tell,
    checked: () => checked.splice(0),
    /** The node reports, over a link that is up. */
    links(id: string) {
      up.add(id);
      topology.followLinks({ links, onLinksChanged: () => () => undefined });
      topology.apply({ nodes: nodes.filter((node) => node.id === id), routes: new Map() });
    },
  };
}

describe('checks', () => {
  it('follow the first link after a join, once', async () => {
    const mesh = meshWith();
    mesh.links('near-1');
    expect(mesh.checked()).toEqual([]);
    await mesh.tell('node.joined', 'near-1');
    expect(mesh.checked()).toEqual(['near-1']);
    const later = meshWith();
    await later.tell('node.joined', 'near-1');
    expect(later.checked()).toEqual([]);
    later.links('near-1');
    expect(later.checked()).toEqual(['near-1']);
    later.links('near-1');
    expect(later.checked()).toEqual([]);
  });

  it('follow the join of machines only', async () => {
    const mesh = meshWith();
    mesh.links('eu');
    await mesh.tell('node.joined', 'eu');
    expect(mesh.checked()).toEqual([]);
  });

  it('follow the end of an outage, of every machine behind it', async () => {
    const mesh = meshWith();
    await mesh.tell('node.restored', 'near-1');
    expect(mesh.checked()).toEqual(['near-1']);
    await mesh.tell('node.restored', 'eu');
    expect(mesh.checked()).toEqual(['eu-1', 'pci-1']);
    await mesh.tell('link.restored', 'eu>eu-pci', { from: 'eu', to: 'eu-pci' });
    expect(mesh.checked()).toEqual(['pci-1']);
  });
});
