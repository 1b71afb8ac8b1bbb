// The output of a script as lines, however it is written, read and flushed, and wherever the agent is restarted.
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createMasker, type Masker } from '../../lib/masking/masker.ts';
import { wholeLines } from '../../test/support/lines.ts';
import { tempDir } from '../../test/support/temp.ts';
import type { CutLine } from './line-cutter.ts';
import { RawOutput } from './raw-output.ts';

type Action = { readonly write: string | Buffer } | 'stand' | 'restart';

const show = ({ text, ending }: CutLine): [string, string] => [text, ending];

/** The lines of an output to which `actions` happen; its end comes last. */
async function linesOf(actions: readonly Action[], masker: Masker = createMasker([])): Promise<CutLine[]> {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const path = join(await tempDir(), 'stdout');
  const lines: CutLine[] = [];
  const open = (): RawOutput => {
    const last = lines.at(-1);
    return RawOutput.open(path, masker, { offset: last?.sourceEnd ?? 0, last: last?.ending ?? 'NEWLINE' });
  };
  let output = open();
  const read = (): void => {
    for (let more = output.next(); more !== undefined; more = output.next()) lines.push(...more, ...output.overdue());
    lines.push(...output.overdue());
  };
  for (const action of actions) {
    if (action === 'restart') {
      output.close();
      output = open();
    } else if (action === 'stand') vi.advanceTimersByTime(1_000);
    else await appendFile(path, action.write);
    read();
  }
  lines.push(...output.end(false));
  output.close();
  return lines;
}

describe('output of a script', () => {
  const secret = 'canary-Secret';

  test('nothing is lost, repeated or shown unmasked, wherever it is flushed and the agent restarted', async () => {
    const words = fc.constantFrom(secret, 'canary-', 'ary-Sec', 'ü', 'grün', '\n', ' ', '€', 'x'.repeat(50_000));
    const bytes = fc.array(words, { minLength: 1, maxLength: 12 }).map((all) => Buffer.from(all.join('')));
    const cuts = fc.array(fc.tuple(fc.nat(200), fc.constantFrom('stand', 'restart', 'none')), { maxLength: 8 });
    const masker = createMasker([secret]);
    await fc.assert(
      fc.asyncProperty(bytes, cuts, async (written, at) => {
        const actions: Action[] = [];
        let from = 0;
        for (const [length, then] of at) {
          actions.push({ write: written.subarray(from, from + length) });
          from = Math.min(written.length, from + length);
          if (then !== 'none') actions.push(then);
        }
        actions.push({ write: written.subarray(from) });
        const expected = masker.mask(written.toString()).split('\n');
        if (expected.at(-1) === '') expected.pop();
        expect(wholeLines(await linesOf(actions, masker))).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  test('what stands for a second is shown; what may become a value is held back', async () => {
    const lines = await linesOf(
      [{ write: 'Password: canary-Sec' }, 'stand', { write: 'ond\n' }],
      createMasker([secret]),
    );
    expect(lines.map(show)).toEqual([
      ['Password: ', 'OPEN'],
      ['canary-Second', 'NEWLINE'],
    ]);
  });

  test('a mask that was shown is not shown again after a restart', async () => {
    const actions: Action[] = [{ write: `${secret}can` }, 'stand', 'restart', { write: '\n' }];
    expect((await linesOf(actions, createMasker([secret]))).map(show)).toEqual([
      ['********', 'OPEN'],
      ['can', 'NEWLINE'],
    ]);
  });

  test.each([
    ['at its end', (step: number) => `${step} %\r`, ['\r', 'NEWLINE']],
    ['before it', (step: number) => `\r${step} %`, ['', 'NEWLINE']],
  ])('progress with a carriage return %s shows once a second', async (_where, write, end) => {
    const steps = Array.from({ length: 90 }, (_, step) => ({ write: write(step) }));
    const actions = [0, 30, 60].flatMap((from): Action[] => [...steps.slice(from, from + 30), 'stand']);
    expect((await linesOf(actions)).map(show)).toEqual([
      ['29 %', 'OPEN'],
      ['', 'RETURN'],
      ['59 %', 'OPEN'],
      ['', 'RETURN'],
      ['89 %', 'OPEN'],
      end,
    ]);
  });

  test('progress that never pauses fills no log', async () => {
    const step = Buffer.from(Array.from({ length: 20_000 }, (_, at) => `\r${at} of many`).join(''));
    const lines = await linesOf([{ write: Buffer.concat(Array.from({ length: 160 }, () => step)) }, { write: '\n' }]);
    expect(lines.length).toBeLessThan(5);
    expect(wholeLines(lines).at(-1) === '19999 of many').toBe(true);
  });

  test('a carriage return and a line feed end a line, also when it was shown before', async () => {
    const lines = await linesOf([{ write: 'one\r\ntwo' }, 'stand', { write: '\r' }, 'stand', { write: '\n' }]);
    expect(wholeLines(lines)).toEqual(['one\r', 'two\r']);
  });

  test('invalid UTF-8, which grows, is split, too', async () => {
    const invalid = Buffer.alloc(50_000, 0xff);
    const lines = await linesOf([{ write: invalid.subarray(0, 3) }, 'stand', { write: invalid }, { write: invalid }]);
    for (const { text } of lines) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(64 * 1024);
    expect(wholeLines(lines)).toEqual(['\ufffd'.repeat(100_003)]);
  });
});
