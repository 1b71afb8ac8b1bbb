// Which server a command talks to, and with which key: from options, then environment, then the context file.
import { X509Certificate } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Type } from 'typebox';
import { envVariable } from '../../lib/config/env.ts';
import { resolveConfig } from '../../lib/config/resolve.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { checkSecret } from '../../lib/files/private.ts';
import { decodeText } from '../../lib/text/read-text.ts';
import { makeFolder } from '../../lib/files/folder.ts';
import type { Connection } from './client.ts';
import { readSecret } from '../files.ts';
import { shellWord } from '../render/shell.ts';
import type { Terminal } from '../terminal.ts';

const contextSchema = Type.Object(
  {
    server: Type.String({ description: 'The address of the API, such as https://isthmus.example:8443.', default: '' }),
    caFile: Type.String({ description: "The mesh's authority certificate (PEM).", default: '' }),
    apiKeyFile: Type.String({ description: 'The file that holds the API key.', default: '' }),
  },
  { additionalProperties: false },
);

export interface ContextOptions {
  readonly context?: string;
  readonly server?: string;
  readonly ca?: string;
  readonly apiKeyFile?: string;
}

/** `$XDG_CONFIG_HOME/isthmus/context.json`, or below ~/.config. */
function defaultContextFile(): string {
  const base = envVariable('XDG_CONFIG_HOME') ?? join(homedir(), '.config');
  return join(base, 'isthmus', 'context.json');
}

/** The context file that an option or ISTHMUS_CONTEXT names, else the default one. */
export function contextFileOf(option: string | undefined): string {
  return option ?? envVariable('ISTHMUS_CONTEXT') ?? defaultContextFile();
}

async function readIfThere(file: string, required: boolean): Promise<{ name: string; text: string } | undefined> {
  try {
    return { name: file, text: decodeText(await readFile(file), file).text };
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    if (!required && (cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const why = (cause as NodeJS.ErrnoException).code;
    throw new IsthmusError('CONFIG_INVALID', `cannot read the context file ${file} (${why})`, { cause });
  }
}

function serverUrl(address: string): URL {
  const url = URL.parse(address.includes('://') ? address : `https://${address}`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new IsthmusError('USAGE', `"${address}" is not an address of a server, such as https://isthmus.example:8443`);
  }
  return url;
}

/**
 * The connection that options, environment and context file describe; throws USAGE when none names a server. A context
 * file that will be written need not exist yet.
 */
export async function resolveConnection(
  options: ContextOptions,
  terminal: Terminal,
  contextIs: 'to be read' | 'to be written' = 'to be read',
): Promise<Connection> {
  const named = options.context ?? envVariable('ISTHMUS_CONTEXT');
  const contextFile = contextFileOf(options.context);
  const given = { server: options.server, caFile: options.ca, apiKeyFile: options.apiKeyFile };
  const isComplete = Object.values(given).every((word) => word !== undefined);
  const replaced = contextIs === 'to be written' && isComplete;
  const { file, settings } = await withLoginRemedy(contextFile, contextFile, async () => {
    const read = replaced
      ? undefined
      : await readIfThere(contextFile, named !== undefined && contextIs === 'to be read');
    return { file: read, settings: resolveConfig(contextSchema, { file: read, options: given }) };
  });
  if (settings.server === '') {
    if (contextIs === 'to be written') throw loginNeeds();
    throw new IsthmusError(
      'USAGE',
      'no server is named: give --server and --ca, set ISTHMUS_SERVER, or write a context file',
      {
        remedy: `\`isthmus login\` writes ${contextFile}, which ${file === undefined ? 'does not exist' : 'names none'}; so does \`isthmus init\`.`,
      },
    );
  }
  // Paths in a context file are relative to it, so that its folder may be moved.
  const near = (path: string): string => resolve(file === undefined ? '.' : dirname(contextFile), path);
  const isOfContext = {
    ca: options.ca === undefined && envVariable('ISTHMUS_CA_FILE') === undefined,
    key: options.apiKeyFile === undefined && envVariable('ISTHMUS_API_KEY_FILE') === undefined,
  };
  const fromFile = (path: string, ofContext: boolean): string => (ofContext && path !== '-' ? near(path) : path);
  const caFile = settings.caFile && fromFile(settings.caFile, isOfContext.ca);
  const keyFile = settings.apiKeyFile && fromFile(settings.apiKeyFile, isOfContext.key);
  // `login` has written it. One that is named elsewhere may have more readers, as in a container.
  if (isOfContext.key && keyFile !== '' && keyFile !== '-') checkSecret(keyFile);
  return {
    server: serverUrl(settings.server),
    authorityPem:
      caFile === ''
        ? undefined
        : await withLoginRemedy(contextFile, isOfContext.ca ? caFile : '', () => readAuthority(caFile, terminal)),
    apiKey:
      keyFile === ''
        ? undefined
        : await withLoginRemedy(contextFile, isOfContext.key ? keyFile : '', () => readApiKey(keyFile, terminal)),
    contextFile: file === undefined ? undefined : contextFile,
  };
}

/** USAGE for a login that lacks an option. */
export function loginNeeds(): IsthmusError {
  return new IsthmusError(
    'USAGE',
    'login needs --server, --ca and --api-key-file; the context file fills in those left out',
  );
}

/** Names the command that writes a context anew in errors about `file`, which belongs to it. */
async function withLoginRemedy<Result>(context: string, file: string, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError) || file === '' || !thrown.message.includes(file)) throw thrown;
    const { code, message, field, cause } = thrown;
    const login = `isthmus login --context ${shellWord(context)} --server URL --ca FILE --api-key-file FILE`;
    const remedy = `Name another context, or write it: \`${login}\`.`;
    throw new IsthmusError(code, message, { field, cause, remedy });
  }
}

/** `isk_<id>_<secret>`: other bytes would fail far from here, in a header. */
const API_KEY = /^isk_[a-z0-9]+_[A-Za-z0-9_-]+$/;

async function readApiKey(file: string, terminal: Terminal): Promise<string> {
  const key = await readSecret(file, terminal, 'the API key');
  if (API_KEY.test(key)) return key;
  throw new IsthmusError('FILE_UNUSABLE', `${file} holds no API key: a key begins with isk_`, {
    field: '--api-key-file',
    remedy: 'Name the file of a key, which `isthmus key create --out FILE` writes.',
  });
}

async function readAuthority(file: string, terminal: Terminal): Promise<string> {
  const pem = await readSecret(file, terminal, 'the authority certificate');
  try {
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    throw new IsthmusError('FILE_UNUSABLE', `${file} holds no certificate`, {
      ...{ field: '--ca', cause },
      remedy: '`isthmus cert authority --data DIR` prints the certificate on any machine of the mesh.',
    });
  }
}

/** The connection that a context file alone describes; the environment is ignored. */
export async function connectionIn(contextFile: string): Promise<Connection> {
  const text = await readFile(contextFile, 'utf8');
  const settings = resolveConfig(contextSchema, { file: { name: contextFile, text }, env: () => undefined });
  const near = (file: string): Promise<string> => readFile(resolve(dirname(contextFile), file), 'utf8');
  return {
    server: serverUrl(settings.server),
    authorityPem: await near(settings.caFile),
    apiKey: (await near(settings.apiKeyFile)).trim(),
  };
}

/**
 * Gives a context another name, `to`, when it leads to `server`: another mesh answers there now. Answers whether it does;
 * one that cannot be read is left alone.
 */
export async function putAside(file: string, to: string, server: string): Promise<boolean> {
  const before = await connectionIn(file).catch(() => undefined);
  if (before === undefined || before.apiKey === undefined || before.authorityPem === undefined) return false;
  if (before.server.href !== serverUrl(server).href) return false;
  const { authorityPem, apiKey } = before;
  await writeContext(to, { server, authorityPem, apiKey });
  return true;
}

/** Writes a context: the file, and beside it the authority certificate and the key (0600). */
export async function writeContext(
  file: string,
  context: { server: string; authorityPem: string; apiKey: string },
): Promise<void> {
  const folder = dirname(file);
  const name = file.slice(folder.length + 1).replace(/\.json$/, '');
  makeFolder(folder);
  await writeFile(join(folder, `${name}.authority.pem`), context.authorityPem, { mode: 0o644 });
  await writeFile(join(folder, `${name}.key`), `${context.apiKey}\n`, { mode: 0o600 });
  // The mode above counts only for a new file.
  await chmod(join(folder, `${name}.key`), 0o600);
  const settings = { server: context.server, caFile: `${name}.authority.pem`, apiKeyFile: `${name}.key` };
  await writeFile(file, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
}
