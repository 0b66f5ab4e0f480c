// What a job costs at AWS: the counts, and that docs/cost.md has the same ones.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CostCounts, countCost, type StepName } from '#test/bench/cost-count';
import { costDocument } from '#test/bench/cost-document';
import { useDynamoDb } from '#test/contract/dynamodb';

const PAGE = join(import.meta.dirname, '../../docs/cost.md');

const tables = useDynamoDb();
let counts: CostCounts;
beforeAll(async () => {
  counts = await countCost(tables.endpoint);
});

const itemsOf = (name: StepName): string[] => counts.steps[name].written.map(({ item }) => item);

describe('what a job costs', () => {
  it.each<[StepName, string[]]>([
    ['check', ['ACCOUNT/ACCOUNT', 'HOLD/HOLD', 'HOLD/SPEC', 'LEDGER']],
    ['bind', ['ACCOUNT/ACCOUNT', 'HOLD/HOLD', 'JOB']],
    ['extend', ['HOLD/HOLD']],
    ['settle', ['ACCOUNT/ACCOUNT', 'HOLD/HOLD', 'HOLD/RUN', 'LEDGER']],
    ['refusal', []],
  ])('is these items of a %s', (name, items) => {
    expect(itemsOf(name)).toEqual(items);
  });

  it.each<[StepName, { index: number; write: number; read: number; reader: number; events: number }]>([
    // Into all three indexes.
    ['check', { index: 3, write: 11, read: 2, reader: 0, events: 1 }],
    // From the unbound to the bound.
    ['bind', { index: 2, write: 8, read: 2, reader: 0, events: 0 }],
    ['extend', { index: 2, write: 4, read: 1, reader: 0, events: 0 }],
    // Out of two indexes; the reader writes usage and its mark.
    ['settle', { index: 2, write: 10, read: 1, reader: 4, events: 1 }],
    ['arraySettleOne', { index: 0, write: 8, read: 1, reader: 4, events: 0 }],
    ['arraySettleAll', { index: 2, write: 166, read: 1, reader: 84, events: 1 }],
    // The mark of the threshold, which is an event beside the hold's.
    ['threshold', { index: 3, write: 11, read: 2, reader: 1, events: 2 }],
    ['heartbeat', { index: 0, write: 1, read: 0, reader: 0, events: 0 }],
    // Account, partition, and the hold in case it is a repetition.
    ['refusal', { index: 0, write: 0, read: 3, reader: 0, events: 0 }],
  ])('is these units of a %s', (name, units) => {
    const { written, writeUnits, readUnits, reader } = counts.steps[name];
    const index = written.reduce((sum, { indexWrites }) => sum + indexWrites, 0);
    expect({ index, write: writeUnits, read: readUnits, reader: reader.writeUnits, events: reader.events }).toEqual(units);
  });

  it('keeps a hold in one kilobyte, which is one started unit', () => {
    const holds = Object.values(counts.steps).flatMap(({ written }) => written.filter(({ item }) => item === 'HOLD/HOLD'));
    expect(holds.length).toBeGreaterThan(5);
    expect(Math.max(...holds.map(({ bytes }) => bytes))).toBeLessThan(1024);
  });

  it('is what docs/cost.md says; if not, `npm run -s cost > docs/cost.md`', () => {
    expect(readFileSync(PAGE, 'utf8')).toBe(costDocument(counts));
  });
});
