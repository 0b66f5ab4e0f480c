// Lists of the table, page by page. Each page is a bounded number of requests; what it did not reach, its cursor names.
import { encodeTime, TIME_MAX } from 'ulid';
import type { Item } from '#adapters/dynamo-attributes';
import { decodeEntry, decodeHold } from '#adapters/dynamo-items';
import { behind, justAfter, MAX_BATCH_GET, namesOf, type Range, type Requests } from '#adapters/dynamo-requests';
import { decodeUsage } from '#adapters/dynamo-usage';
import { cursorAfter, ENTRY_PLACE, HOLD_PLACE, NAME_PLACE, placeAfter, USAGE_PLACE } from '#adapters/page-cursor';
import type { BudgetStore, Page, PageRequest } from '#app/ports';
import {
  boundHoldsOf,
  HOLDS_OF_ACCOUNT,
  holdIdOf,
  holdKey,
  holdsOfAccount,
  type IndexName,
  isoOf,
  ledgerMonth,
  monthOf,
  nextMonth,
  OPEN_HOLDS_BY_EXPIRY,
  OPEN_HOLDS_OF_CLUSTER,
  openShard,
  SHARDS,
  timedHold,
  unboundHoldsOf,
  usageMonth,
} from '#contract/table';
import { type Hold, isBound } from '#domain/hold';
import type { Entry } from '#domain/ledger';
import type { Usage } from '#domain/usage';

/** Reads of a ledger that one call makes; an account that rested for years has as many empty months. */
const MAX_LEDGER_READS = 24;
/** Reads of an index that one call makes for a list whose filter drops most of them. */
const MAX_INDEX_READS = 10;
const MIN_INDEX_READ_ROWS = 25;
/** Reads of one shard that one call makes; one read gives at least 4,000 keys. */
const MAX_SHARD_READS = 10;
/** An entry's id is made at its own time, or a little later when the ids of its process were ahead of that. */
const MAX_ID_LEAD_MS = 3_600_000;
/** Times past this have no four-digit year, and so no place among keys. */
const MAX_INSTANT = Date.UTC(9999, 11, 1);

type Query = Requests['query'];

/** A list whose rows stand in one partition by name, each behind `prefix`. */
export const listByName = async <T>(
  query: Query,
  { partition, prefix, list, page }: { partition: string; prefix?: string; list: readonly string[]; page: PageRequest },
  decode: (item: Item) => T,
): Promise<Page<T>> => {
  const after = placeAfter(page, list, NAME_PLACE);
  const range: Range = {
    partition,
    order: 'ascending',
    from: after === undefined ? prefix : justAfter(`${prefix ?? ''}${after}`),
    until: prefix && behind(prefix),
  };
  const { items, goesOnAfter } = await query(range, page.limit + 1);
  const shown = items.slice(0, page.limit);
  const last = shown.at(-1)?.sk;
  const isLast = goesOnAfter === undefined && items.length === shown.length;
  return { items: shown.map(decode), ...(!isLast && { cursor: cursorAfter(list, String(last).slice(prefix?.length ?? 0)) }) };
};

/** The ledger of an account, month by month. */
export const listEntries = async (
  query: Query,
  { account, from, to }: Parameters<BudgetStore['listEntries']>[0],
  page: PageRequest,
): Promise<Page<Entry>> => {
  const list = ['entries', account];
  const time = { from: Math.max(from, 0), to: Math.min(to, MAX_INSTANT) };
  const entries: Entry[] = [];
  let place = laterOf(`${monthOf(time.from)}#`, placeAfter(page, list, ENTRY_PLACE));
  for (let reads = 0; time.from < time.to && place < `${monthOf(time.to - 1)}#~`; reads += 1) {
    if (reads === MAX_LEDGER_READS) return { items: entries, cursor: cursorAfter(list, place) };
    const [month = '', after = ''] = place.split('#');
    const range = rangeOfMonth({ account, month, after, ...time });
    const { items, goesOnAfter } = await query(range, page.limit - entries.length + 1);
    for (const entry of items.map(decodeEntry)) {
      const last = entries.at(-1);
      if (last && entries.length === page.limit)
        return { items: entries, cursor: cursorAfter(list, `${monthOf(last.at)}#${last.entryId}`) };
      entries.push(entry);
    }
    place = goesOnAfter === undefined ? `${nextMonth(month)}#` : `${month}#${goesOnAfter}`;
  }
  return { items: entries };
};

const rangeOfMonth = ({
  account,
  month,
  after,
  from,
  to,
}: {
  account: string;
  month: string;
  after: string;
  from: number;
  to: number;
}): Range => ({
  partition: ledgerMonth({ account, month }),
  order: 'ascending',
  from: laterOf(idAt(from), after === '' ? undefined : justAfter(after)),
  until: idAt(to + MAX_ID_LEAD_MS),
  // The entry's own time decides; its id only says where to look.
  filter: { expression: '#at >= :time_from AND #at < :time_to', names: { '#at': 'at' }, values: { ':time_from': from, ':time_to': to } },
});

/** What the id of every entry from this time on is behind of, and is not itself. */
const idAt = (at: number): string => encodeTime(Math.min(at, TIME_MAX), 10);

/** Usage of an account in one month, by day. */
export const listUsage = async (
  query: Query,
  { account, from, to }: Parameters<BudgetStore['listUsage']>[0],
  page: PageRequest,
): Promise<Page<Usage>> => {
  const list = ['usage', account, from, to];
  const after = placeAfter(page, list, USAGE_PLACE);
  const partition = usageMonth({ account, month: from.slice(0, 'yyyy-mm'.length) });
  const range: Range = { partition, order: 'ascending', from: after === undefined ? from : justAfter(after), until: to };
  const { items, goesOnAfter } = await query(range, page.limit);
  return { items: items.map(decodeUsage), ...(goesOnAfter !== undefined && { cursor: cursorAfter(list, goesOnAfter) }) };
};

/** Holds of an account, newest first. */
export const listHoldsOfAccount = (
  requests: Requests,
  { account, state, user }: Parameters<BudgetStore['listHoldsOfAccount']>[0],
  page: PageRequest,
): Promise<Page<Hold>> =>
  listHolds(requests, page, {
    list: ['holds', account],
    readPlaces: (before, limit) =>
      readPlaces(requests.query, { index: HOLDS_OF_ACCOUNT, partition: holdsOfAccount(account), before }, limit),
    keep: (hold) => hold.account === account && (state === undefined || hold.state === state) && (user === undefined || hold.user === user),
  });

/** Open holds of a cluster, newest first. */
export const listOpenHoldsOfCluster = (
  requests: Requests,
  { cluster, bound, createdBefore }: Parameters<BudgetStore['listOpenHoldsOfCluster']>[0],
  page: PageRequest,
): Promise<Page<Hold>> => {
  // Unbound first: a hold that is bound between the two reads is then seen twice rather than missed.
  const partitions = [...(bound === true ? [] : [unboundHoldsOf(cluster)]), ...(bound === false ? [] : [boundHoldsOf(cluster)])];
  return listHolds(requests, page, {
    list: ['open holds', cluster],
    startBefore: createdBefore === undefined ? undefined : isoOf(createdBefore),
    readPlaces: async (before, limit) => {
      const lists: Places[] = [];
      for (const partition of partitions) {
        lists.push(await readPlaces(requests.query, { index: OPEN_HOLDS_OF_CLUSTER, partition, before }, limit));
      }
      return mergedNewestFirst(lists);
    },
    keep: (hold) => hold.state === 'open' && hold.cluster === cluster && (bound === undefined || isBound(hold) === bound),
  });
};

/** Open holds of all accounts, the next to expire first. */
export const listOpenHolds = async (requests: Requests, page: PageRequest): Promise<Page<Hold>> => {
  const ids = await listByExpiry(requests.query, { list: 'open', now: MAX_INSTANT }, page);
  const holds = (await requests.getAll(ids.items.map(holdKey))).map(decodeHold);
  return { ...ids, items: holds.filter(({ state }) => state === 'open') };
};

/** Ids of open holds that are overdue, the longest overdue first. */
export const listOverdueHoldIds = (query: Query, { now }: { now: number }, page: PageRequest): Promise<Page<string>> =>
  listByExpiry(query, { list: 'overdue', now }, page);

const listByExpiry = async (query: Query, { list, now }: { list: string; now: number }, page: PageRequest): Promise<Page<string>> => {
  const after = placeAfter(page, [list], HOLD_PLACE);
  const shards = await Promise.all(
    Array.from({ length: SHARDS }, (_, shard) => readOverdueOf(query, { shard, now, after, limit: page.limit })),
  );
  const places = shards.flat().sort().slice(0, page.limit);
  const last = places.at(-1);
  return {
    items: places.map(holdIdOf),
    ...(places.length === page.limit && last !== undefined && { cursor: cursorAfter([list], last) }),
  };
};

const readOverdueOf = async (
  query: Query,
  { shard, now, after, limit }: { shard: number; now: number; after: string | undefined; limit: number },
): Promise<string[]> => {
  const range: Range = { index: OPEN_HOLDS_BY_EXPIRY, partition: openShard(shard), order: 'ascending', until: isoOf(now + 1) };
  const places: string[] = [];
  let from = after === undefined ? undefined : justAfter(after);
  for (let reads = 0; reads < MAX_SHARD_READS && places.length < limit; reads += 1) {
    const { items, goesOnAfter } = await query({ ...range, from }, limit - places.length);
    places.push(...items.map(({ gsi2sk }) => String(gsi2sk)));
    if (goesOnAfter === undefined) break;
    from = justAfter(goesOnAfter);
  }
  return places;
};

/** Places of holds, newest first; `more`: after the last of them there are others. */
interface Places {
  readonly places: readonly string[];
  readonly more: boolean;
}

interface HoldList {
  readonly list: readonly string[];
  readonly startBefore?: string | undefined;
  readonly readPlaces: (before: string | undefined, limit: number) => Promise<Places>;
  /** Asked of the hold itself: an index lags, and may still name what has moved on. */
  readonly keep: (hold: Hold) => boolean;
}

const listHolds = async (requests: Requests, page: PageRequest, { list, startBefore, readPlaces, keep }: HoldList): Promise<Page<Hold>> => {
  let before = earlierOf(startBefore, placeAfter(page, list, HOLD_PLACE));
  const holds: Hold[] = [];
  for (let reads = 0; reads < MAX_INDEX_READS && holds.length < page.limit; reads += 1) {
    const { places, more } = await readPlaces(before, rowsToRead(page.limit - holds.length + 1));
    const found = (await requests.getAll(places.map((place) => holdKey(holdIdOf(place))))).map(decodeHold).filter(keep);
    const room = page.limit - holds.length;
    holds.push(...found.slice(0, room));
    if (found.length > room) {
      const last = found[room - 1];
      return { items: holds, ...(last && { cursor: cursorAfter(list, timedHold(last.createdAt, last.holdId)) }) };
    }
    if (!more) return { items: holds };
    before = places.at(-1);
  }
  return { items: holds, ...(before !== undefined && { cursor: cursorAfter(list, before) }) };
};

const rowsToRead = (wanted: number): number => Math.min(MAX_BATCH_GET, Math.max(MIN_INDEX_READ_ROWS, wanted));

const readPlaces = async (
  query: Query,
  { index, partition, before }: { index: IndexName; partition: string; before: string | undefined },
  limit: number,
): Promise<Places> => {
  const { items, goesOnAfter } = await query({ index, partition, order: 'descending', until: before }, limit);
  return { places: items.map((item) => String(item[namesOf({ index }).sortKey])), more: goesOnAfter !== undefined };
};

/** Several lists as one. Older than the end of a list that goes on, some of that list are missing, so nothing older counts yet. */
const mergedNewestFirst = (lists: readonly Places[]): Places => {
  const knownDownTo = lists.map(({ places, more }) => (more ? (places.at(-1) ?? '') : '')).reduce(laterOf, '');
  const places = [...new Set(lists.flatMap(({ places }) => places))].filter((place) => place >= knownDownTo);
  return { places: places.sort().reverse(), more: lists.some(({ more }) => more) };
};

const laterOf = (a: string, b: string | undefined): string => (b !== undefined && b > a ? b : a);

const earlierOf = (a: string | undefined, b: string | undefined): string | undefined =>
  a === undefined || (b !== undefined && b < a) ? b : a;
