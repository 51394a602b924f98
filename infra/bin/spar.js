#!/usr/bin/env node
// Runs from the built package if there is one, else from the source; says so in one sentence if Node is too old.
import { existsSync } from 'node:fs';

const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(
    `spar needs Node 24 or newer, and this is ${process.versions.node}: install it, or run "npx -p node@24 -p spar spar".`,
  );
  process.exit(2);
}
// In the package this file is dist/infra/bin/spar.js, and its neighbours are built.
const built = new URL('../cli/main.js', import.meta.url);
const fromSource = new URL('../cli/main.ts', import.meta.url);
const { main } = await import((existsSync(built) ? built : fromSource).href);
await main(process.argv);
