// Retired words of Isthmus, each with the field's standard word. `build/check-words.ts` keeps them out of file names,
// identifiers, the wire, the command line, the API, the database and the documents. docs/glossary.md defines the
// standard words.

export interface RetiredWord {
  /** One word of an identifier or file name, in lower case; a camelCase or kebab-case name is split into its words. */
  readonly word: string;
  readonly say: string;
}

export const RETIRED_WORDS: readonly RetiredWord[] = [
  { word: 'acceptor', say: 'listener, inbound link' },
  { word: 'acceptors', say: 'listeners, inbound links' },
  { word: 'asker', say: 'requester' },
  { word: 'askers', say: 'requesters' },
  { word: 'beat', say: 'heartbeat' },
  { word: 'beats', say: 'heartbeats' },
  { word: 'burnt', say: 'consumed' },
  { word: 'carrier', say: 'transport' },
  { word: 'carriers', say: 'transports' },
  { word: 'cheapest', say: 'least-cost' },
  { word: 'completer', say: 'completion reporter' },
  { word: 'completers', say: 'completion reporters' },
  { word: 'dialler', say: 'connector, outbound link' },
  { word: 'diallers', say: 'connectors, outbound links' },
  { word: 'door', say: 'enrolment listener' },
  { word: 'doors', say: 'enrolment listeners' },
  { word: 'farewell', say: 'goodbye' },
  { word: 'gate', say: 'rate limiter' },
  { word: 'gates', say: 'rate limiters' },
  { word: 'kin', say: 'peer relation' },
  { word: 'kinship', say: 'peer relation' },
  { word: 'leftover', say: 'orphan, clean-up' },
  { word: 'leftovers', say: 'clean-up' },
  { word: 'member', say: 'node runtime' },
  { word: 'pace', say: 'interval' },
  { word: 'paces', say: 'intervals' },
  { word: 'pass', say: 'download token' },
  { word: 'passes', say: 'download tokens' },
  { word: 'patience', say: 'reachability timeout' },
  { word: 'place', say: 'source, scope, site, environment, slot or offset' },
  { word: 'places', say: 'sources, scopes, sites, environments, slots or offsets' },
  { word: 'readmit', say: 'reactivate' },
  { word: 'readmits', say: 'reactivates' },
  { word: 'refusal', say: 'denial' },
  { word: 'refusals', say: 'denials' },
  { word: 'refuse', say: 'reject, deny' },
  { word: 'refused', say: 'rejected, denied' },
  { word: 'refuses', say: 'rejects, denies' },
  { word: 'refusing', say: 'rejecting, denying' },
  { word: 'released', say: 'freed, unlocked or unbound' },
  { word: 'releasing', say: 'freeing, unlocking or unbinding' },
  { word: 'sighted', say: 'last seen' },
  { word: 'sighting', say: 'last seen' },
  { word: 'trash', say: 'undeletable files' },
  { word: 'turns', say: 'handshake limiter, reconcile loop' },
  { word: 'unwanted', say: 'cancelled' },
  { word: 'way', say: 'path, route' },
  { word: 'ways', say: 'paths, routes' },
  { word: 'wish', say: 'desired parents' },
  { word: 'wished', say: 'desired' },
  { word: 'wishes', say: 'desired parents' },
];

/** Phrases that no text of the product or its documents may hold. A space also stands for a line break. */
export const RETIRED_PHRASES: readonly { readonly phrase: RegExp; readonly say: string }[] = [
  {
    phrase:
      /\b(FLOOD|LINK_REFUSED|LINK_SILENT|NOT_YOUR_TICKET|PARENTS_NOT_TAKEN|PART_FAILED|PLACE_FAILED|RETRY_UNDER_WAY|SEAL_BROKEN)\b/,
    say: 'its standard code in contract/errors.ts',
  },
  { phrase: /\bAuthorization: Pass\b/, say: 'Authorization: Bearer' },
  { phrase: /\b(gone|going|goes) over\b/i, say: 'moved to its desired parents' },
  { phrase: /\b(is|are) to have\b/i, say: 'desired' },
  { phrase: /\bawaits its join\b/i, say: 'pending join' },
  { phrase: /\bit last met\b/i, say: 'last error' },
  { phrase: /\bhow long it is good for\b/i, say: 'time to live' },
  { phrase: /\b(key|node|token) delete\b/, say: 'revoke' },
  { phrase: /\b(machine (list|set)|script run|variables set)\b[^`|\n]* --role\b/, say: '--target-role' },
  { phrase: /\breleas(e|es|ed|ing) (a|an|its|the|this) (lease|lock|slot|token)\b/i, say: 'free, unlock or unbind' },
  { phrase: /\b(step types?|types? of step)\b/i, say: 'step kind' },
  { phrase: /\btries again for\b/i, say: 'retry of' },
  { phrase: /\bwhat people read\b/i, say: 'display name' },
  { phrase: /\bwhose turn\b/i, say: 'the next in line' },
  { phrase: /^[a-z-]+\.[a-z-]*refused$/, say: 'a `….denied` event' },
];
