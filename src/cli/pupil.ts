// pupil.ts: the command line's entry. It only gives program.ts its arguments and ends the process: Dawn and a browser's
// pipe keep Node's event loop alive.
import { main } from './program';

process.exit(await main(process.argv.slice(2)));
