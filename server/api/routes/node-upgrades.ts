// Upgrades of the software of nodes.
import { IdempotencyKey } from '../../../contract/http.ts';
import { NewNodeUpgrade } from '../../../contract/node-upgrades.ts';
import { SOFTWARE_VERSION } from '../../../lib/version.ts';
import { submitUpgrade } from '../../upgrades/request.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { accepted, ACCEPTED_TASK } from './tasks.ts';

export function nodeUpgradeRoutes(app: ApiInstance, context: ApiContext): void {
  app.post(
    '/node-upgrades',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'upgradeNodes',
        summary: 'Upgrade the software of nodes',
        description:
          'Of one node, or of all active nodes of a site: one by one until the first runs the new version, then ' +
          '`atOnce` at once, relays last and one by one. The first that fails stops the others. A node goes back by ' +
          'itself when the new version is not connected and healthy within two minutes. Nodes that run the version ' +
          'already stay as they are.',
        tags: ['nodes'],
        headers: IdempotencyKey,
        body: NewNodeUpgrade,
        response: ACCEPTED_TASK,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await submitUpgrade(tx, request.body, { serverVersion: SOFTWARE_VERSION, actor })),
      ),
  );
}
