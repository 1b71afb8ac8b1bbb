// The process of `npm run package`: its streams, signals and exit code. command.ts has what it does.
const stop = new AbortController();
// npm sends a Ctrl-C that the terminal has sent already: any number of them is one.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());

function err(text: string): void {
  process.stderr.write(`${text}\n`);
}

const command = await import('./command.ts').catch((thrown: NodeJS.ErrnoException) => {
  if (thrown.code !== 'ERR_MODULE_NOT_FOUND') throw thrown;
  err('isthmus package: node_modules is missing or not whole; run npm ci');
});
process.exitCode =
  (await command?.packageCommand(process.argv.slice(2), {
    out: (text) => process.stdout.write(`${text}\n`),
    err,
    signal: stop.signal,
  })) ?? 2;
