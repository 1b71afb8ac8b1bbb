// A small web application as an example to deploy: it shows its machine and release, and the wire protocol of Isthmus.
// Its settings are in config.json, which the deployment fills in on each machine.
import { createHmac } from 'node:crypto';
import { readFile, readdir, unlink, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath, URL } from 'node:url';
import fastify from 'fastify';
import protobuf from 'protobufjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const config = JSON.parse(await readFile(join(here, 'config.json'), 'utf8'));

/** The services of the bundled .proto files, with their methods. */
async function readProtocol() {
  const folder = join(here, 'protocol');
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.proto'));
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(folder, target);
  await root.load(files.sort());
  const services = [];
  const visit = (node) => {
    if (node instanceof protobuf.Service)
      services.push({ name: node.fullName.slice(1), methods: Object.keys(node.methods) });
    for (const child of node.nestedArray ?? []) visit(child);
  };
  visit(root);
  return services;
}

/**
 * Stops the application when the other end of this socket closes. Only for the demonstration, which must leave nothing
 * running, however it ends; a real application has no such thing.
 */
function endWith(socketPath, stop) {
  const lifeline = createConnection(socketPath);
  lifeline.on('error', stop).on('close', stop).resume();
}

const app = fastify({ logger: { level: 'warn' } });
const page = await readFile(join(here, 'pages', 'index.html'), 'utf8');
const protocol = await readProtocol();

app.get('/', (_request, reply) => {
  const values = { machine: config.machine, site: config.site, release: config.release, greeting: config.greeting };
  const filled = page.replaceAll(/\{\{(\w+)\}\}/g, (_all, name) => escapeHtml(String(values[name] ?? '')));
  return reply.type('text/html; charset=utf-8').send(filled);
});
// The signature proves that the application has the signing key, without showing it.
app.get('/status', () => ({
  ok: true,
  machine: config.machine,
  site: config.site,
  release: config.release,
  signature: createHmac('sha256', config.signingKey).update(`${config.machine} ${config.release}`).digest('hex'),
}));
app.get('/protocol', () => protocol);

function escapeHtml(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

async function stop() {
  await app.close();
  await unlink(config.pidFile).catch(() => undefined);
  process.exit(0);
}

await app.listen({ host: '127.0.0.1', port: Number(config.port) });
await writeFile(config.pidFile, `${process.pid}\n`);
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
if (config.lifeline) endWith(config.lifeline, stop);
