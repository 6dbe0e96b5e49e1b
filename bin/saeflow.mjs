#!/usr/bin/env node
// The `saeflow` command: registers tsx, so that the TypeScript sources run as they are, and hands over to the CLI.

import { existsSync } from 'node:fs';

if (!existsSync(new URL('../node_modules/tsx', import.meta.url))) {
  console.error('saeflow: the packages are not installed.\n         Run: npm run setup');
  process.exit(1);
}
const { register } = await import('tsx/esm/api');
register();
await import('../cli/main.ts');
