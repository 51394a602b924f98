/** Builds the package into `dist/`: what tsc makes of the source, and the files that it leaves behind. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('tsc', ['-p', 'infra/tsconfig.build.json'], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
for (const file of globSync(['schemas/*.avsc', 'processors/prompts/*.txt', 'infra/bin/spar.js'])) {
  cpSync(file, `dist/${file}`);
}
chmodSync('dist/infra/bin/spar.js', 0o755);
