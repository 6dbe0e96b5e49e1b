// The store cleaned from Temporal's UI, or by a schedule: what kills and interruptions left, first listed, then deleted.
import { setCurrentDetails } from '@temporalio/workflow';
import { formatAge } from '../schemas/age.ts';
import { describeAmount, describeUnfinished, garbageInput, garbageKinds, type GarbageReport, type GarbageSearchInput } from '../schemas/garbage.ts';
import { garbage } from './activityProxies.ts';
import { parseMessage } from './failures.ts';

/** Workflow `collectGarbage`: without an input it only looks. */
export async function collectGarbage(input?: GarbageSearchInput): Promise<GarbageReport> {
  const { olderThan } = parseMessage(garbageInput, input ?? {}, 'the input');
  const report = await garbage.collectGarbage(input ?? {});
  setCurrentDetails(describe(report, formatAge(olderThan)));
  return report;
}

/** Markdown for the UI. */
function describe({ deleted, kinds, renewed, spared, unfinished, ...total }: GarbageReport, age: string): string {
  const amount = describeAmount(total);
  const headline = total.files === 0 ? '**nothing to delete**' : deleted ? `**deleted** ${amount}` : `**would delete** ${amount}: start this workflow with \`{"delete": true}\``;
  const found = kinds.map(({ kind, examples, ...size }) => `- ${describeAmount(size)}, ${garbageKinds[kind]}: ${examples.map(shortPath).join(', ')}${size.files > examples.length ? ' …' : ''}`);
  const stays = [
    `- younger than ${age}`,
    ...(unfinished.artifacts === 0 ? [] : [`- ${describeUnfinished(unfinished)}`]),
    ...(renewed === 0 ? [] : [`- ${renewed} files that were written anew meanwhile`]),
    ...spared.map(({ artifact, why }) => `- ${shortPath(artifact)}: ${why}`),
  ];
  return [headline, ...(found.length === 0 ? [] : [found.join('\n')]), ['What stays:', '', ...stays].join('\n'), '---'].join('\n\n');
}

/** With keys as the UI shows them in workflow ids. */
function shortPath(path: string): string {
  return `\`${path.replace(/\/([0-9a-f]{12})[0-9a-f]{52}/, '/$1…')}\``;
}
