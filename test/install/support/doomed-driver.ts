// Boots a machine, says which, and stays until it is killed: `doomed-driver.ts BASE`.
import { Estate } from './estate.ts';

const estate = await Estate.up(process.argv[2] ?? '', ['eu']);
process.stdout.write(`${JSON.stringify({ lab: estate.lab.id, init: estate.machine('eu').init })}\n`);
setTimeout(() => undefined, 2 ** 31 - 1);
