// The budget store on DynamoDB: every method is one request, or one bounded loop of them.
import {
  BatchGetCommand,
  DeleteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  type QueryCommandInput,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb';
import { encodeTime, TIME_MAX } from 'ulid';
import { requireSound } from '#adapters/booking-rules';
import { fromAttributes, type Item } from '#adapters/dynamo-attributes';
import { meaningOf } from '#adapters/dynamo-client';
import { birthOf, refusalOf, removalOf, transactionOf, writesOf } from '#adapters/dynamo-commit';
import {
  decodeAccount,
  decodeCluster,
  decodeDeposit,
  decodeEntry,
  decodeHold,
  decodeJobLink,
  decodePartition,
  decodeRun,
  decodeSpec,
  encodeCluster,
  encodePartition,
} from '#adapters/dynamo-items';
import { anyPlace, cursorAfter, entryPlace, holdPlace, placeAfter } from '#adapters/page-cursor';
import { type BudgetStore, type Cluster, type Page, type PageRequest, StoreContended } from '#app/ports';
import {
  ACCOUNT_DIRECTORY,
  accountKey,
  boundHoldsOf,
  CLUSTER_DIRECTORY,
  clusterKey,
  DEPOSIT_PREFIX,
  depositKey,
  HOLDS_OF_ACCOUNT,
  holdIdOf,
  holdKey,
  holdsOfAccount,
  isoOf,
  jobPartition,
  type Key,
  ledgerMonth,
  monthOf,
  nextMonth,
  OPEN_HOLDS_BY_EXPIRY,
  OPEN_HOLDS_OF_CLUSTER,
  openShard,
  PARTITION_DIRECTORY,
  partitionKey,
  RUN_PREFIX,
  runKey,
  SHARDS,
  specKey,
  timedHold,
  unboundHoldsOf,
} from '#contract/table';
import { type Hold, isBound } from '#domain/hold';

/** Months of a ledger that one call looks into; after that it gives back what it found, and a cursor. */
const MAX_MONTHS_PER_CALL = 24;
/** Index pages that one call of a filtered list reads before it gives back what it found, and a cursor. */
const MAX_INDEX_READS_PER_CALL = 10;
/** A filter may drop most rows, so an index is read in pieces of at least this many keys. */
const MIN_INDEX_READ = 25;
/** DynamoDB's own limit. */
const MAX_BATCH_GET = 100;
const MAX_BATCH_GET_TRIES = 5;
/** Pages of one shard that one call reads: 5,000 keys take two. */
const MAX_SHARD_READS = 10;
/** An entry's id is never older than the entry, and newer only by what other entries of its process were ahead. */
const MAX_ID_LEAD_MS = 3_600_000;
/** The last instant that ISO writes with four digits of a year. */
const MAX_INSTANT = Date.UTC(9999, 11, 31);

/**
 * The budgets in one table, as contract/table.ts defines it.
 * @param client of its own: see createDocumentClient.
 */
export const createDynamoBudgets = ({ client, table }: { client: DynamoDBDocumentClient; table: string }): BudgetStore => {
  const send = async <T>(request: Promise<T>): Promise<T> => {
    try {
      return await request;
    } catch (thrown) {
      const meaning = meaningOf(thrown, table);
      throw meaning.kind === 'failed' ? meaning.error : meaning.refused;
    }
  };

  /** Undefined: it was written. Else the cancellation that some condition caused, and nothing else. */
  const transact = async (input: TransactWriteCommandInput) => {
    try {
      await client.send(new TransactWriteCommand(input));
      return undefined;
    } catch (thrown) {
      const meaning = meaningOf(thrown, table);
      if (meaning.kind === 'failed') throw meaning.error;
      return meaning.refused;
    }
  };

  const get = async <T>(key: Key, decode: (item: Item) => T): Promise<T | undefined> => {
    const { Item } = await send(client.send(new GetCommand({ TableName: table, Key: { ...key }, ConsistentRead: true })));
    return Item && decode(Item);
  };

  /** At most `limit` items of one partition. `more`: there may be others after the last of these. */
  const query = async (range: Range, limit: number): Promise<{ items: Item[]; more: boolean }> => {
    const answer = await send(client.send(new QueryCommand({ TableName: table, ...queryOf(range), Limit: limit })));
    return { items: answer.Items ?? [], more: answer.LastEvaluatedKey !== undefined };
  };

  /** The items of these keys that exist, in the order of the keys. */
  const getAll = async (keys: readonly Key[]): Promise<Item[]> => {
    const found = new Map<unknown, Item>();
    for (let from = 0; from < keys.length; from += MAX_BATCH_GET) {
      for (const item of await getBatch(keys.slice(from, from + MAX_BATCH_GET))) found.set(item.pk, item);
    }
    return keys.flatMap(({ pk }) => found.get(pk) ?? []);
  };

  const getBatch = async (keys: readonly Key[]): Promise<Item[]> => {
    const items: Item[] = [];
    let wanted: Record<string, unknown>[] = keys.map((key) => ({ ...key }));
    for (let tries = 1; wanted.length > 0; tries += 1) {
      if (tries > MAX_BATCH_GET_TRIES) throw new StoreContended(`${wanted.length} of ${keys.length} keys of table ${table} stayed unread`);
      const request = { RequestItems: { [table]: { Keys: wanted, ConsistentRead: true } } };
      const answer = await send(client.send(new BatchGetCommand(request)));
      items.push(...(answer.Responses?.[table] ?? []));
      wanted = answer.UnprocessedKeys?.[table]?.Keys ?? [];
    }
    return items;
  };

  /** A list whose rows stand in one partition, by a name that begins with `prefix`. */
  const listOf = async <T>(
    { pk, prefix = '', list, page }: { pk: string; prefix?: string; list: readonly string[]; page: PageRequest },
    decode: (items: Item[]) => T[] | Promise<T[]>,
  ): Promise<Page<T>> => {
    const after = placeAfter(page, list, anyPlace);
    const range: Range = { pk, order: 'ascending', from: after === undefined ? prefix : justAfter(prefix + after), until: prefix && pastAll(prefix) };
    const { items, more } = await query(range, page.limit + 1);
    const shown = items.slice(0, page.limit);
    const last = shown.at(-1);
    const goesOn = last !== undefined && (more || items.length > shown.length);
    return { items: await decode(shown), ...(goesOn && { cursor: cursorAfter(list, String(last.sk).slice(prefix.length)) }) };
  };

  /** The holds behind index rows, newest first, as their own items say now: an index lags, and may still name what has moved on. */
  const listHolds = async (
    { list, page, newestBefore, keep }: { list: readonly string[]; page: PageRequest; newestBefore?: string; keep: (hold: Hold) => boolean },
    readIndex: (before: string | undefined, limit: number) => Promise<{ places: string[]; more: boolean }>,
  ): Promise<Page<Hold>> => {
    const after = placeAfter(page, list, holdPlace);
    let before = earlier(after, newestBefore);
    const holds: Hold[] = [];
    for (let reads = 0; reads < MAX_INDEX_READS_PER_CALL; reads += 1) {
      const { places, more } = await readIndex(before, Math.min(MAX_BATCH_GET, Math.max(MIN_INDEX_READ, page.limit - holds.length + 1)));
      const items = await getAll(places.map((place) => holdKey(holdIdOf(place))));
      for (const hold of items.map(decodeHold).filter(keep)) {
        const lastShown = holds.at(-1);
        if (holds.length === page.limit && lastShown) {
          return { items: holds, cursor: cursorAfter(list, timedHold(lastShown.createdAt, lastShown.holdId)) };
        }
        holds.push(hold);
      }
      before = places.at(-1) ?? before;
      if (!more) return { items: holds };
    }
    return { items: holds, ...(before !== undefined && { cursor: cursorAfter(list, before) }) };
  };

  const readPlaces = async (index: string, pk: string, before: string | undefined, limit: number) => {
    const { items, more } = await query({ index, pk, order: 'descending', until: before }, limit);
    return { places: items.map((item) => String(item[INDEX_KEYS[index]?.sk ?? 'sk'])), more };
  };

  /** Unbound first: a hold that is bound between the two reads is then seen twice, and not missed. */
  const readBothPlaces = async (cluster: string, before: string | undefined, limit: number) => {
    const unbound = await readPlaces(OPEN_HOLDS_OF_CLUSTER, unboundHoldsOf(cluster), before, limit);
    const bound = await readPlaces(OPEN_HOLDS_OF_CLUSTER, boundHoldsOf(cluster), before, limit);
    const merged = [...new Set([...unbound.places, ...bound.places])].sort().reverse();
    // Beyond the last place of a list that goes on, places of that list may be missing, so nothing beyond it counts yet.
    const known = [unbound, bound].map(({ places, more }) => (more ? (places.at(-1) ?? '') : '')).reduce((a, b) => (a > b ? a : b));
    return { places: merged.filter((place) => place >= known), more: unbound.more || bound.more };
  };

  const oldestOfShard = async (shard: number, now: number, limit: number): Promise<string[]> => {
    const places: string[] = [];
    for (let reads = 0; reads < MAX_SHARD_READS && places.length < limit; reads += 1) {
      const from = places.at(-1);
      const range: Range = {
        index: OPEN_HOLDS_BY_EXPIRY,
        pk: openShard(shard),
        order: 'ascending',
        from: from === undefined ? '' : justAfter(from),
        until: isoOf(now + 1),
      };
      const { items, more } = await query(range, limit - places.length);
      places.push(...items.map(({ gsi2sk }) => String(gsi2sk)));
      if (!more) break;
    }
    return places;
  };

  return {
    readAccount: (account) => get(accountKey(account), decodeAccount),

    listAccounts: (page) =>
      listOf({ pk: ACCOUNT_DIRECTORY, list: ['accounts'], page }, async (rows) => (await getAll(rows.map(({ sk }) => accountKey(String(sk))))).map(decodeAccount)),

    async createAccount(account, opening) {
      const refused = await transact(transactionOf(birthOf({ account, opening, table }), opening));
      return refused === undefined;
    },

    async removeAccount(account, closing) {
      const { pk } = accountKey(account.account);
      // Whatever is deposited after this read changes limit or entry count, and then the removal is refused.
      const { items } = await query({ pk, order: 'ascending', from: DEPOSIT_PREFIX, until: pastAll(DEPOSIT_PREFIX) }, 2);
      const deposits = items.map(({ sk }) => ({ pk, sk: String(sk) }));
      const refused = await transact(transactionOf(removalOf({ account, deposits, closing, table }), closing));
      return refused === undefined;
    },

    async commit(booking) {
      const writes = writesOf(requireSound(booking), table);
      const items = writes.map(({ item }) => item);
      const refused = await transact(transactionOf(items, booking.entries[0]));
      return refused === undefined ? { booked: true } : { booked: false, refusal: refusalOf(writes, refused) };
    },

    readDeposit: (key) => get(depositKey(key), decodeDeposit),

    async listEntries({ account, from, to }, page) {
      const list = ['entries', account];
      const after = placeAfter(page, list, entryPlace);
      const end = Math.min(to, MAX_INSTANT);
      const entries: Item[] = [];
      let [month, afterId] = laterPlace(monthOf(Math.max(from, 0)), after);
      for (let months = 0; month <= monthOf(Math.max(end - 1, 0)) && end > from; months += 1) {
        if (months === MAX_MONTHS_PER_CALL) return { items: entries.map(decodeEntry), cursor: cursorAfter(list, `${month}#`) };
        const range: Range = {
          pk: ledgerMonth({ account, month }),
          order: 'ascending',
          from: later(idAt(from), afterId && justAfter(afterId)),
          until: idAt(end + MAX_ID_LEAD_MS),
          // Ids may lead their entries by a little, so it is the entries' own time that decides.
          filter: { expression: '#at >= :from_at AND #at < :to_at', names: { '#at': 'at' }, values: { ':from_at': from, ':to_at': end } },
        };
        const { items, more } = await query(range, page.limit - entries.length + 1);
      }
      return { items: entries.map(decodeEntry) };
    },
  };
};
