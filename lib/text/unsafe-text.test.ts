import { expect, it } from 'vitest';
import { escapeUnsafe, safeJson } from './unsafe-text.ts';

const hostile = '\u001b[2J\u001b]52;c;cm0=\u0007\r\n\0\u009b31m\u202egnp.exe\u2066\u2028\ufeff\ud800</script>Grüße 👩‍🚀';

it('writes JSON of the same values without unsafe characters', () => {
  const value = { [hostile]: [hostile, { inner: hostile }] };
  const written = safeJson(JSON.stringify(value, null, 2));
  expect(JSON.parse(written)).toEqual(value);
  expect(escapeUnsafe(written, (character) => (character === '\n' ? character : 'unsafe'))).toBe(written);
  expect(written).toContain('Grüße 👩‍🚀');
});
