// Columns are aligned in a terminal, whatever the script of the cells.
import { expect, it } from 'vitest';
import { renderRecord, renderTable } from './table.ts';

it('aligns columns by displayed width, without trailing blanks', () => {
  const table = renderTable(['name', 'state'], [['日本', 'up'], ['Grüße', null], ['e\u0301', 'down']]); // prettier-ignore
  expect(table.split('\n')).toEqual(['NAME   STATE', '日本   up', 'Grüße  -', 'e\u0301      down']);
});

it('cuts nothing off and escapes control characters', () => {
  const table = renderTable(['a', 'b'], [['x'.repeat(300), '\u001b[2J\n']]);
  expect(table).toContain(`${'x'.repeat(300)}  \\x1b[2J\\x0a`);
  expect(table.split('\n')).toHaveLength(2);
});

it('shows headings alone where there are no rows, and a record by its names', () => {
  expect(renderTable(['a', 'bc'], [])).toBe('A  BC');
  expect(renderRecord({ id: 'eu', environments: ['a', 'b'], none: [] })).toBe(
    'id            eu\nenvironments  a, b\nnone          -',
  );
});
