// What a value must be, in words: TypeBox says it in those of JSON Schema.

interface Requirement {
  readonly keyword: string;
  readonly params: object;
  readonly message: string;
}

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  object: 'an object',
  string: 'text',
};

const UNITS: Readonly<Record<string, string>> = { S: 'seconds', Ms: 'milliseconds', Bytes: 'bytes', Days: 'days' };

/** The unit that a name ends with: seconds for `deadlineS`. */
export function unitOf(name: string): string | undefined {
  return UNITS[/[a-z](S|Ms|Bytes|Days)$/.exec(name)?.[1] ?? ''];
}

/** `must be at most 3600 seconds`, for the value of this name. */
export function requirementOf({ keyword, params, message }: Requirement, name: string): string {
  const { limit, type } = params as { readonly limit?: number; readonly type?: unknown };
  const unit = unitOf(name);
  const amount = unit === undefined ? String(limit) : `${limit} ${unit}`;
  switch (keyword) {
    case 'maximum':
      return `must be at most ${amount}`;
    case 'minimum':
      return `must be at least ${amount}`;
    case 'maxLength':
      return `must have at most ${limit} characters`;
    case 'minLength':
      return limit === 1 ? 'must not be empty' : `must have at least ${limit} characters`;
    case 'maxItems':
      return `must have at most ${limit} entries`;
    case 'minItems':
      return limit === 1 ? 'must not be empty' : `must have at least ${limit} entries`;
    case 'uniqueItems':
      return 'must not name one twice';
    case 'type':
      return typeof type === 'string' ? `must be ${TYPES[type] ?? type}` : message;
    default:
      return message;
  }
}
