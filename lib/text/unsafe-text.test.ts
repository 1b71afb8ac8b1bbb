import { expect, it } from 'vitest';
import { isUnsafe, safeJson } from './unsafe-text.ts';

const hostile = '\u001b[2J\u001b]52;c;cm0=\u0007\r\n\0\u009b31m\u202egnp.exe\u2066\u2028\ufeff\ud800</script>Grüße 👩‍🚀';

it('writes JSON of the same values without unsafe characters', () => {
  const value = { [hostile]: [hostile, { inner: hostile }] };
  const written = safeJson(JSON.stringify(value, null, 2));
  expect(JSON.parse(written)).toEqual(value);
  const obeyed = [...written].filter((character) => character !== '\n' && isUnsafe(character.codePointAt(0)!));
  expect(obeyed).toEqual([]);
  expect(written).toContain('Grüße 👩‍🚀');
});
