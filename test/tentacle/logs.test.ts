// The output of a script is complete, numbered, masked and bounded, whatever the script prints and however fast.
import { setImmediate } from 'node:timers/promises';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LogSender, type LogSink, type LogSource } from '../../tentacle/logs/stream.ts';
import { Spool } from '../../tentacle/logs/spool.ts';
import type { TicketState } from '../../tentacle/journal/records.ts';
import { statusOf } from '../../tentacle/scripts/run/status.ts';
import type { LogBatch } from '../../proto/gen/isthmus/tentacle/v1/LogBatch.ts';
import { wholeLines } from '../support/lines.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { ended, freshEngine, logOf, orderOf, textOf } from './support.ts';

describe('output', () => {
  test('control characters, escapes and foreign markup are data; bytes that are no UTF-8 are replaced', async () => {
    const { engine } = await freshEngine();
    const nasty = [
      'a\rb',
      '\u001b[31mred\u001b]0;title\u0007',
      'nul\0nul',
      '\u202eevil',
      'line\u2028sep',
      '</script>',
      '',
    ];
    const dataDir = await tempDir();
    await writeFile(join(dataDir, 'nasty'), `${nasty.join('\n')}\n`);
    const order = orderOf(
      `cat '${dataDir}/nasty'; printf 'bad\\xff\\xfebytes\\n##isthmus[fake]\\n'; printf 'no line feed'`,
    );
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ exitCode: 0, lastLine: nasty.length + 3 });
    expect(textOf(await logOf(engine, order))).toEqual([
      ...nasty,
      'bad\ufffd\ufffdbytes',
      '##isthmus[fake]',
      'no line feed',
    ]);
  });

  test('one line of 100 MB is split, with nothing lost up to the quota, and the script goes on', async () => {
    const { engine, dataDir } = await freshEngine();
    const order = orderOf("echo before; head -c 100000000 /dev/zero | tr '\\0' x; echo; exit 2");
    await engine.start(order);
    const peak = watchMemory();
    expect(await ended(engine, order, 50_000)).toMatchObject({ exitCode: 2 });
    expect(peak.stop()).toBeLessThan(150 * 1024 * 1024);
    const lines = await logOf(engine, order);
    expect(lines.at(-1)).toMatchObject({ stream: 'agent', ending: 'NEWLINE' });
    const [before, long, ...others] = wholeLines(lines.slice(0, -1));
    expect([before, others]).toEqual(['before', []]);
    // Up to the last part that fits.
    expect(long!.length).toBeGreaterThan(64 * 1024 * 1022);
    expect(/^x*$/.test(long!)).toBe(true);
    // Output that is no longer needed has been freed on the disk.
    const raw = await stat(join(dataDir, 'tickets', order.ticket, 'stdout'));
    expect(raw.blocks * 512).toBeLessThan(64 * 1024 * 1024);
  });

  test('a line of some parts is whole, and the next one follows', async () => {
    const { engine } = await freshEngine();
    const order = orderOf("head -c 200000 /dev/zero | tr '\\0' x; echo; echo after; exit 2");
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ exitCode: 2, lastLine: 5 });
    expect(wholeLines(await logOf(engine, order))).toEqual(['x'.repeat(200_000), 'after']);
  });

  test('a prompt and progress show while the script goes on', async () => {
    const { engine, dataDir } = await freshEngine();
    const [answered, done] = ['answered', 'done'].map((name) => join(dataDir, name));
    const until = (file: string | undefined): string => `until [ -e '${file}' ]; do sleep 0.02; done`;
    const progress = "printf '10 %%\\r20 %%\\r30 %%\\r'";
    const order = orderOf(`printf 'Continue? '; ${until(answered)}; echo yes; ${progress}; ${until(done)}; echo`);
    await engine.start(order);
    const lines = async (count: number) =>
      waitFor(async () => {
        const log = await logOf(engine, order);
        return log.length >= count ? log.map(({ text, ending }) => [text, ending]) : undefined;
      });
    expect(await lines(1)).toEqual([['Continue? ', 'OPEN']]);
    await writeFile(answered!, '');
    expect((await lines(3)).slice(1)).toEqual([
      ['yes', 'NEWLINE'],
      ['30 %', 'OPEN'],
    ]);
    await writeFile(done!, '');
    expect(await ended(engine, order)).toMatchObject({ exitCode: 0, lastLine: 4 });
  });

  test('a flood fills its quota and no more, neither of memory nor of disk; the script runs on', async () => {
    const { engine, dataDir } = await freshEngine({ limits: { logQuotaBytes: 1024 * 1024 } });
    const order = orderOf("yes 'a line of a flood that never ends' | head -c 300000000; exit 4");
    await engine.start(order);
    const peak = watchMemory();
    expect(await ended(engine, order, 50_000)).toMatchObject({ exitCode: 4 });
    expect(peak.stop()).toBeLessThan(150 * 1024 * 1024);
    const lines = await logOf(engine, order);
    expect(lines.at(-1)).toMatchObject({ stream: 'agent' });
    expect(lines.at(-1)!.text).toContain('quota of 1048576 bytes');
    expect(Buffer.byteLength(textOf(lines, 'stdout').join(''))).toBeLessThanOrEqual(1024 * 1024);
    const workspace = join(dataDir, 'tickets', order.ticket);
    for (const file of ['stdout', 'lines']) {
      expect((await stat(join(workspace, file))).blocks * 512).toBeLessThan(32 * 1024 * 1024);
    }
  });

  test('empty lines fill the quota, too', async () => {
    const { engine } = await freshEngine({ limits: { logQuotaBytes: 64 * 1024 } });
    const order = orderOf("yes '' | head -n 400000; exit 4");
    await engine.start(order);
    expect(await ended(engine, order, 50_000)).toMatchObject({ exitCode: 4, lastLine: 64 * 64 + 1 });
  });

  test('sensitive values are masked in whatever form and however slowly they are printed', async () => {
    const { engine, dataDir } = await freshEngine();
    const secret = 'canary+Secret/Value=42"x';
    const key = 'first-line-of-key\nsecond-line-of-key\n';
    const order = orderOf(
      [
        'echo "plain $SECRET"; echo "err $SECRET" >&2',
        'for (( i = 0; i < ${#SECRET}; i++ )); do printf %s "${SECRET:$i:1}"; sleep 0.01; done; echo',
        'printf %s "$SECRET" | base64; printf "x%s" "$SECRET" | base64; printf "xy%s" "$SECRET" | base64 -w 20',
        'printf %s "$SECRET" | fold -w 8; echo; printf %s "$SECRET" | fold -w 3; echo',
        'printf %s "$SECRET" | od -An -tx1 | tr -d " \\n"; echo; echo "$KEY"; set -x; : "$SECRET"',
      ].join('\n'),
      { payload: { env: { SECRET: secret, KEY: key }, sensitiveValues: [secret, key] } },
    );
    await engine.start(order);
    await ended(engine, order);
    const log = await logOf(engine, order);
    // On a busy machine a line may come in parts.
    const printed = (stream: string): string =>
      log.map((line) => (line.stream === stream ? line.text + (line.ending === 'NEWLINE' ? '\n' : '') : '')).join('');
    expect(printed('stdout')).toContain('plain ********\n');
    expect(printed('stderr')).toContain('err ********\n');
    const lines = textOf(log);
    const shown = lines.join('\n');
    const forms = [secret, 'anary+Se', 'ecret/Va', 'ary', '+Se', 'line-of-key', Buffer.from(secret).toString('hex')];
    for (const before of ['', 'x', 'xy'])
      forms.push(
        Buffer.from(before + secret)
          .toString('base64')
          .slice(4, 24),
      );
    for (const form of forms) expect(shown).not.toContain(form);
    // And nowhere else on the disk but in the script's raw output: not in journal, spool, body or sealed payload.
    const workspace = join(dataDir, 'tickets', order.ticket);
    for (const path of [
      join(dataDir, 'journal', 'journal'),
      ...(await readdir(workspace)).map((name) => join(workspace, name)),
    ]) {
      if (!(await stat(path)).isFile() || /std(out|err)$/.test(path)) continue;
      expect((await readFile(path)).includes('anary+Se'), path).toBe(false);
    }
    await engine.complete(order);
    expect(await readdir(join(dataDir, 'tickets'))).toEqual([]);
  });

  test('many lines on both streams keep their order, each once', async () => {
    const { engine } = await freshEngine();
    const order = orderOf('for i in $(seq 1 5000); do echo "out $i"; echo "err $i" >&2; done');
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ exitCode: 0, lastLine: 10_000 });
    const lines = await logOf(engine, order);
    for (const [stream, word] of [
      ['stdout', 'out'],
      ['stderr', 'err'],
    ] as const) {
      expect(textOf(lines, stream)).toEqual(Array.from({ length: 5000 }, (_, index) => `${word} ${index + 1}`));
    }
  });
});

describe('spool', () => {
  test('a half-written line is cut off when it is opened again, and numbers go on', async () => {
    const path = join(await tempDir(), 'lines');
    const spool = Spool.open(path);
    const line = (text: string, offset: number) =>
      ({ stream: 'stdout', atMs: 1, text, ending: 'NEWLINE', sourceEnd: offset }) as const;
    spool.append([line('one', 4), line('two', 8)]);
    await spool.close();
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.from([0, 0, 0, 9, 0, 1, 2])]));
    const again = Spool.open(path);
    onTestFinished(() => again.close());
    expect(again.lastLine).toBe(2);
    expect(again.position('stdout')).toEqual({ offset: 8, last: 'NEWLINE' });
    again.append([line('three', 14)]);
    expect(again.read(0, 1000).map(({ text }) => text)).toEqual(['one', 'two', 'three']);
    expect(again.read(2, 1).map(({ text }) => text)).toEqual(['three']);
  });
});

describe('sending', () => {
  async function sourceOf(lines: number, bytesEach: number): Promise<LogSource> {
    const spool = Spool.open(join(await tempDir(), 'lines'));
    onTestFinished(() => spool.close());
    const text = 'x'.repeat(bytesEach);
    const line = { stream: 'stdout', atMs: 1, text, ending: 'NEWLINE', sourceEnd: undefined } as const;
    spool.append(Array.from({ length: lines }, () => line));
    const end = { kind: 'exited', exit: { exitCode: 0 } } as const;
    const state: TicketState = { phase: 'ended', end, startedAtMs: 1, endedAtMs: 2, lastLine: lines };
    return {
      status: () => statusOf('ticket', state, { lastLine: lines, heldBy: '' }),
      spool: () => spool,
      onChange: () => () => undefined,
    };
  }

  function collector(): LogSink & { readonly batches: LogBatch[] } {
    const batches: LogBatch[] = [];
    return {
      batches,
      send: (batch) => {
        batches.push(batch);
        return Promise.resolve();
      },
    };
  }

  test('stops at the window until the server has acknowledged, and cuts batches at 64 KiB', async () => {
    const sink = collector();
    const sender = new LogSender(await sourceOf(1000, 1024), 0, sink);
    const done = sender.run();
    await waitFor(() => sink.batches.length === 4);
    // One turn of the event loop: the sender waits only for the sink, which has answered.
    await setImmediate();
    expect(sink.batches.length).toBe(4);
    for (const batch of sink.batches) expect(batch.lines!.length).toBe(64);
    let acknowledged = 0;
    await waitFor(() => {
      const sent = sink.batches.reduce((sum, { lines }) => sum + lines!.length, 0);
      expect(sent - acknowledged).toBeLessThanOrEqual(256);
      sender.acknowledge(sent);
      acknowledged = sent;
      return sent === 1000 && sink.batches.at(-1)!.end !== undefined;
    });
    await done;
    let next = 1;
    for (const batch of sink.batches) {
      expect(batch.firstLine).toBe(next);
      next += batch.lines!.length;
    }
  });

  test.each([
    ['of a line not sent', 99, 0],
    ['that goes back', 10, 5],
  ])('rejects an acknowledgement %s', async (_what, first, second) => {
    const sink = collector();
    const sender = new LogSender(await sourceOf(500, 1024), 0, sink);
    const done = sender.run();
    await waitFor(() => sink.batches.length > 0);
    if (first === 99) sender.acknowledge(5000);
    else {
      sender.acknowledge(first);
      sender.acknowledge(second);
    }
    await expect(done).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'acknowledgedLine' });
  });
});

/** The highest resident size above the one at the beginning. */
function watchMemory(): { stop(): number } {
  const before = process.memoryUsage.rss();
  let highest = before;
  const timer = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss());
  }, 5);
  return {
    stop() {
      clearInterval(timer);
      return highest - before;
    },
  };
}
