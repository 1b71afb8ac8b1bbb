// Checks the URL of a source of packages outside the mesh, and fills in its template.
import { IsthmusError } from '../../contract/errors.ts';
import { checkKeptHost } from './network-address.ts';

/** What the placeholders of a template stand for. */
export interface UpstreamPackage {
  readonly id: string;
  readonly version: string;
  readonly sha256: string;
  readonly filename: string;
}

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** Reads the URL of one package. URL_FORBIDDEN unless it is http or https, without a password. */
export function upstreamUrl(url: string, field = 'url'): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isHttp = parsed?.protocol === 'https:' || parsed?.protocol === 'http:';
  if (parsed === undefined || !isHttp || parsed.username + parsed.password + parsed.hash !== '') {
    const rule = 'the URL of a package source is https or http, without a user, a password and a fragment';
    throw new IsthmusError('URL_FORBIDDEN', rule, { field });
  }
  return parsed;
}

/** The URL of one package. What is filled in cannot leave its segment of the path. */
export function fillUrl(template: string, about: UpstreamPackage): string {
  return template.replace(PLACEHOLDER, (whole, name: string) =>
    Object.hasOwn(about, name) ? encodeURIComponent(about[name as keyof UpstreamPackage]) : whole,
  );
}

/**
 * Checks a template: INVALID_FIELD for a placeholder that does not exist or stands in the host, URL_FORBIDDEN for what
 * is no URL of a package and for an address where no source can be. Names are resolved at connect.
 */
export function checkUrlTemplate(template: string, field = 'url'): void {
  const sample = (text: string) => fillUrl(template, { id: text, version: text, sha256: text, filename: text });
  const [url, other] = ['a', 'b'].map((text) => upstreamUrl(sample(text), field)) as [URL, URL];
  const unknown = /[{}]/.exec(sample('a'));
  if (unknown !== null) {
    const known = 'the placeholders are {id}, {version}, {sha256} and {filename}';
    throw new IsthmusError('INVALID_FIELD', known, { field });
  }
  if (url.host !== other.host) {
    throw new IsthmusError('INVALID_FIELD', 'the host of a package source has no placeholder', { field });
  }
  checkKeptHost(url.hostname, field);
}
