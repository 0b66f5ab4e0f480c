import { randomUUID } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { packed, type Walk } from '#app/walk-ledger';
import { MAX_AUDIT_CURSOR_CHARS, MAX_BODY_BYTES } from '#contract/limits';
import { packPlace, unpackPlace } from '#http/audit-cursor';

const NOON = Date.UTC(2026, 10, 23, 12);

const aWalk = (given: Partial<Walk> = {}): Walk => ({
  ...{ account: 'physics', createdAt: NOON, began: NOON + 3, from: NOON + 1, to: NOON + 2, place: 'opaque', left: 7 },
  tally: {
    columns: { available: -9_007_199_254_740_993n, held: 9_007_199_254_740_995n, used: -1n, limit: 1n },
    count: 4,
    holds: new Map([
      ['6f1c0f5e-0000-4000-8000-000000000001', { held: 3n, used: -2n, since: 0, runs: new Map(), summedRuns: null }],
      ['6f1c0f5e-0000-4000-8000-000000000002', { held: 0n, used: 5n, since: NOON, runs: new Map(), summedRuns: 5n }],
    ]),
    runs: new Map([['job.hpc.1 r', { owner: 'job.hpc.1', runId: 'r', used: 4n, isBooked: true }]]),
  },
  ...given,
});

const roundTrip = (place: Parameters<typeof packPlace>[0]) => unpackPlace(packPlace(place));

describe('the cursor of an audit', () => {
  it.each([
    ['of a walk', { walk: aWalk() }],
    ['of a walk, and of the accounts after it', { walk: aWalk(), cursor: 'c' }],
    ['of accounts', { cursor: 'c' }],
  ])('brings back what it was made of: %s', (_, place) => {
    expect(roundTrip(place)).toStrictEqual(place);
  });

  it('does not need a place in the ledger', () => {
    const { place: _, ...walk } = aWalk();
    expect(roundTrip({ walk })).toStrictEqual({ walk });
  });

  it('is none at the end, and none is the beginning', () => {
    expect(packPlace({})).toBeUndefined();
    expect(unpackPlace(undefined)).toStrictEqual({});
  });

  it('fits into a request with as many holds as travel, whatever their amounts', () => {
    const sums = { held: 999_999_999_999_999n, used: 123_456_789_012_345n, since: NOON, runs: new Map(), summedRuns: 123_456_789_012_345n };
    const many = Array.from({ length: 5_000 }, (_, n): [string, typeof sums] => [
      randomUUID(),
      { ...sums, held: sums.held - BigInt(n * n) },
    ]);
    const walk = packed(aWalk({ tally: { ...aWalk().tally, holds: new Map(many) } }));
    expect(walk.tally.holds.size).toBeGreaterThan(900);
    expect(packPlace({ walk })?.length).toBeLessThan(MAX_AUDIT_CURSOR_CHARS);
    expect(MAX_AUDIT_CURSOR_CHARS).toBeLessThan(MAX_BODY_BYTES - 256);
  });

  it.each([
    ['empty', ''],
    ['no base64', '%%%'],
    ['not packed', Buffer.from('{}').toString('base64url')],
    ['no JSON', deflateRawSync('{').toString('base64url')],
    ['of another list', deflateRawSync('["x","entries","physics"]').toString('base64url')],
    ['of other fields', deflateRawSync('{"cursor":"c","more":1}').toString('base64url')],
    ['half a walk', deflateRawSync('{"walk":{"account":"physics"}}').toString('base64url')],
    ['larger than it looks', deflateRawSync(JSON.stringify({ cursor: 'c'.repeat(10_000_000) })).toString('base64url')],
  ])('is refused when it is %s', (_, cursor) => {
    expect(() => unpackPlace(cursor)).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });
});
