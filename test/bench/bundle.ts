// What a cold start loads: the size of each function, what is in submit, and how long it takes to be there and to answer a first
// check, against the bare SDK clients that it uses.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BARE, type ColdStart, coldStarts } from '#test/bench/cold-start';
import type { Section } from '#test/bench/measure';
import { bundled } from '#test/infra/bundle';

const ROOT = join(import.meta.dirname, '../..');
const RUNS = 41;
const PARTS_SHOWN = 8;
const FUNCTIONS = {
  submit: 'lambdas/http/submit-function.ts',
  agent: 'lambdas/http/agent-function.ts',
  admin: 'lambdas/http/admin-function.ts',
  expire: 'lambdas/events/expire-function.ts',
  'job-ended': 'lambdas/events/job-ended-function.ts',
  stream: 'lambdas/events/stream-function.ts',
  audit: 'lambdas/events/audit-function.ts',
  'price-refresh': 'lambdas/events/price-refresh-function.ts',
  preflight: 'lambdas/events/preflight-function.ts',
} as const;

export const benchBundle = async (): Promise<Section> => {
  const folder = mkdtempSync(join(tmpdir(), 'asbb-bundle-'));
  try {
    const bare = await bundled({ stdin: { contents: BARE, resolveDir: ROOT, loader: 'js' } }, join(folder, 'bare'));
    const functions = await Promise.all(
      Object.entries(FUNCTIONS).map(async ([name, entry]) => [name, await bundled({ entry }, join(folder, name))] as const),
    );
    const submit = functions.find(([name]) => name === 'submit')?.[1];
    if (submit === undefined) throw new Error('submit was not bundled');
    const [ofBare, ofSubmit] = (await coldStarts([bare.file, submit.file], RUNS)) as [ColdStart, ColdStart];
    const ratio = (of: (each: ColdStart) => number) => (of(ofSubmit) / of(ofBare)).toFixed(2);
    const told = ({ start, first, second }: ColdStart) =>
      `${start.toFixed(1)} + ${first.toFixed(1)} = ${(start + first).toFixed(1)} ms (then ${second.toFixed(1)})`;
    return {
      title: 'Bundles of the functions',
      notes: [
        `CPU until the handler is loaded + of the first check = together (then of the second check), medians of ${RUNS} processes in turn: submit ${told(ofSubmit)}; bare SDK clients that send as many requests ${told(ofBare)}. Ratio of loading ${ratio(({ start }) => start)}, where the aim is 1.3; together ${ratio(({ start, first }) => start + first)}.`,
        `In submit, kB read at once: ${[...submit.parts]
          .slice(0, PARTS_SHOWN)
          .map(([part, bytes]) => `${part} ${(bytes / 1000).toFixed(0)}`)
          .join(', ')}.`,
      ],
      head: ['', 'kB read at a cold start', 'kB in chunks for later'],
      rows: [['bare SDK clients', bare] as const, ...functions].map(([name, { bytes, laterBytes }]) => [
        name,
        (bytes / 1000).toFixed(1),
        (laterBytes / 1000).toFixed(1),
      ]),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
};
