// The template of a package source's URL: which placeholders there are, and what they become.
import { describe, expect, it } from 'vitest';
import { checkUrlTemplate, fillUrl } from './upstream-url.ts';

const about = { id: 'My.Web', version: '1.0', sha256: 'ab', filename: '../a b' };

describe('a template', () => {
  it('is filled in with what cannot leave its segment', () => {
    const filled = fillUrl('https://s3.example/{id}/{version}/{sha256}/{filename}', about);
    expect(filled).toBe('https://s3.example/My.Web/1.0/ab/..%2Fa%20b');
  });

  it.each(['name', 'constructor', 'toString', '__proto__', ''])('has no placeholder {%s}', (name) => {
    const template = `https://s3.example/{${name}}`;
    expect(() => checkUrlTemplate(template)).toThrow(expect.objectContaining({ code: 'INVALID_FIELD' }) as Error);
    expect(fillUrl(template, about)).toBe(template);
  });
});
