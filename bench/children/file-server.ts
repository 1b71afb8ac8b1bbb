// A plain HTTP server of the files in a folder: the origin that curl and a cache fetch from.
// usage: file-server.ts HOST PORT FOLDER
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';

const [host = '', port = '0', folder = ''] = process.argv.slice(2);

createServer((request, response) => {
  const path = join(folder, basename(request.url ?? ''));
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return void response.writeHead(404).end();
  response.writeHead(200, { 'content-length': size, 'cache-control': 'max-age=3600' });
  createReadStream(path, { highWaterMark: 256 * 1024 }).pipe(response);
}).listen(Number(port), host);
