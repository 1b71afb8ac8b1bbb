// The forms of ids and addresses, as JSON schema patterns: one definition for schemas, settings and parsers.

/** A DNS label in lower case: 1 to 63 letters, digits and inner hyphens (RFC 1123). */
export const SLUG_PATTERN = '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$';
export const SLUG_IN_WORDS = 'must have lower-case letters, digits and, between them, hyphens: 1 to 63';

/** The name of one file, in no folder. */
export const FILE_NAME_PATTERN = '^(?!\\.{1,2}$)[^/\\\\\\u0000-\\u001f\\u007f]{1,255}$';

/** What a package may be called. */
export const PACKAGE_ID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';
export const PACKAGE_ID_IN_WORDS =
  'must be 1 to 100 letters, digits, `.`, `_` or `-`, beginning with a letter or digit';

/** Characters of the version of a package or a release. */
export const LONGEST_VERSION = 100;

const PORT = '(\\d{1,4}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])';

/** A `host:port` with a port up to 65535; an IPv6 host is in brackets. Groups: bracketed host, plain host, port. */
export const HOST_PORT_PATTERN = `^(?:\\[([0-9a-fA-F:.]+(?:%[^\\s\\]]+)?)\\]|([^\\s:\\[\\]]+)):${PORT}$`;

/** A `host:port` that a shell reads as one plain word. */
export const PLAIN_HOST_PORT_PATTERN = `^(?:\\[[0-9a-fA-F:.]{2,45}\\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252}):${PORT}$`;

/** A user or group of a machine. */
export const ACCOUNT_PATTERN = '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$';
export const ACCOUNT_IN_WORDS = 'must name an account: letters, digits, _, . and -';

/** Octal; the owner may at least read a file, and list and pass a folder. */
export const FILE_MODE_PATTERN = '^0?[4-7][0-7]{2}$';
export const FILE_MODE_IN_WORDS = "must be octal permissions in quotes, such as '0640', with which the owner can read";
export const FOLDER_MODE_PATTERN = '^0?[57][0-7]{2}$';
export const FOLDER_MODE_IN_WORDS =
  "must be octal permissions in quotes, such as '0750', with which the owner can enter";

/** Without `.`, `..`, empty parts and control characters; never `/` alone. */
export const ABSOLUTE_PATH_PATTERN = '^(?:/(?!\\.{1,2}(?:/|$))[^/\\u0000-\\u001f\\u007f]+)+$';
export const ABSOLUTE_PATH_IN_WORDS = 'must be an absolute path without . and .., such as /srv/web';
