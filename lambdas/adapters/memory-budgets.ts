// The budget store in memory, for tests and for `asbb local` without Java. Nothing outlives the process.
import { requireCountable, requireSound } from '#adapters/booking-rules';
import { cursorAfter, ENTRY_PLACE, HOLD_PLACE, NAME_PLACE, placeAfter, USAGE_PLACE } from '#adapters/page-cursor';
import { SortedList } from '#adapters/sorted-list';
import type {
  AccountChange,
  Booking,
  BudgetStore,
  Cluster,
  Deposit,
  HoldSpec,
  JobLink,
  KeptPrice,
  Outcome,
  Page,
  PageRequest,
  Refusal,
} from '#app/ports';
import { type Account, moved, unwillingness } from '#domain/account';
import { type Hold, isBound } from '#domain/hold';
import type { Entry, Instant } from '#domain/ledger';
import { MAX_AMOUNT_MICRO_USD } from '#domain/money';
import type { PartitionModel } from '#domain/partition';
import type { BookedRun } from '#domain/run';
import { combined, type Usage } from '#domain/usage';

/** Maps by key, and beside them the orders in which things are listed. What is kept is frozen, so it can be handed out as it is. */
class Tables {
  readonly accounts = new Map<string, Account>();
  readonly accountNames = new SortedList();
  readonly deposits = new Map<string, Deposit>();
  readonly entryIds = new Set<string>();
  /** By account, then by place. */
  readonly ledgers = new Map<string, { places: SortedList; entries: Map<string, Entry> }>();
  readonly holds = new Map<string, Hold>();
  readonly specs = new Map<string, HoldSpec>();
  readonly holdsByAccount = new Map<string, SortedList>();
  readonly unbound = new Map<string, SortedList>();
  readonly bound = new Map<string, SortedList>();
  readonly openByExpiry = new SortedList();
  readonly runs = new Map<string, { ids: SortedList; runs: Map<string, BookedRun> }>();
  readonly jobLinks = new Map<string, { times: SortedList; links: Map<string, JobLink> }>();
  /** By account and month, then by day, user and partition. */
  readonly usage = new Map<string, { places: SortedList; rows: Map<string, Usage> }>();
  readonly counted = new Set<string>();
  readonly announced = new Set<string>();
  readonly clusters = new Map<string, Cluster>();
  readonly clusterNames = new SortedList();
  readonly partitions = new Map<string, PartitionModel>();
  readonly partitionNames = new SortedList();
  readonly prices = new Map<string, KeptPrice>();
}

/** A store of its own, empty. Callers interleave as they would on a network: each method yields once before it looks. */
export const createMemoryBudgets = (): BudgetStore => {
  const tables = new Tables();

  return {
    async readAccount(account) {
      await null;
      return tables.accounts.get(account);
    },

    async listAccounts(page) {
      await null;
      return listByName(tables.accountNames, ['accounts'], page, tables.accounts);
    },

    async createAccount(account, opening) {
      await null;
      if (tables.accounts.has(account.account) || (opening && tables.entryIds.has(opening.entryId))) return false;
      tables.accounts.set(account.account, kept(account));
      tables.accountNames.add(account.account);
      if (opening) addEntry(tables, opening);
      return true;
    },

    async removeAccount({ account, limit }, closing) {
      await null;
      const stored = tables.accounts.get(account);
      if (stored === undefined || stored.entryCount > 1 || stored.held !== 0n || stored.used !== 0n || stored.limit !== limit) return false;
      if (closing && tables.entryIds.has(closing.entryId)) return false;
      tables.accounts.delete(account);
      tables.accountNames.remove(account);
      // Else the next account of this name would take a deposit of the same id for a repetition.
      for (const [key, deposit] of tables.deposits) if (deposit.account === account) tables.deposits.delete(key);
      if (closing) addEntry(tables, closing);
      return true;
    },

    async commit(booking) {
      await null;
      const refusal = refusalOf(tables, requireSound(booking));
      if (refusal !== undefined) return { booked: false, refusal } satisfies Outcome;
      apply(tables, booking);
      return { booked: true };
    },

    async readDeposit({ account, depositId }) {
      await null;
      return tables.deposits.get(keyOf(account, depositId));
    },

    async listEntries({ account, from, to }, page) {
      await null;
      return listEntries(tables, { account, from, to }, page);
    },

    async readHold(holdId) {
      await null;
      return tables.holds.get(holdId);
    },

    async readSpec(holdId) {
      await null;
      return tables.specs.get(holdId);
    },

    async readRun({ owner, runId }) {
      await null;
      return tables.runs.get(owner)?.runs.get(runId);
    },

    async listRuns(owner, page) {
      await null;
      const { ids, runs } = tables.runs.get(owner) ?? { ids: new SortedList(), runs: new Map() };
      return listByName(ids, ['runs', owner], page, runs);
    },

    async readJobLink({ cluster, jobId, submittedAt }) {
      await null;
      const found = tables.jobLinks.get(keyOf(cluster, jobId));
      const [time] = found?.times.before(submittedAt === undefined ? undefined : isoOf(submittedAt + 1), 1) ?? [];
      return time === undefined ? undefined : found?.links.get(time);
    },

    async listHoldsOfAccount({ account, state, user }, page) {
      await null;
      const places = tables.holdsByAccount.get(account) ?? new SortedList();
      return listHolds(tables, [places], page, {
        list: ['holds', account],
        keep: (hold) => (state === undefined || hold.state === state) && (user === undefined || hold.user === user),
      });
    },

    async listOpenHoldsOfCluster({ cluster, bound, createdBefore }, page) {
      await null;
      const lists = [...(bound === true ? [] : [tables.unbound.get(cluster)]), ...(bound === false ? [] : [tables.bound.get(cluster)])];
      return listHolds(
        tables,
        lists.filter((places) => places !== undefined),
        page,
        {
          list: ['open holds', cluster],
          keep: () => true,
          ...(createdBefore !== undefined && { startBefore: isoOf(createdBefore) }),
        },
      );
    },

    async listOpenHolds(page) {
      await null;
      const ids = listByExpiry(tables, { list: 'open', until: undefined }, page);
      return { ...ids, items: ids.items.map((holdId) => tables.holds.get(holdId)).filter((hold) => hold !== undefined) };
    },

    async listOverdueHoldIds({ now }, page) {
      await null;
      return listByExpiry(tables, { list: 'overdue', until: isoOf(now + 1) }, page);
    },

    async countUsage(counted) {
      await null;
      const fresh = requireCountable(counted).filter(({ entryId }) => !tables.counted.has(entryId));
      for (const { entryId, usage } of fresh) {
        tables.counted.add(entryId);
        for (const row of usage) addUsage(tables, row);
      }
    },

    async listUsage({ account, from, to }, page) {
      await null;
      const list = ['usage', account, from, to];
      const { places, rows } = tables.usage.get(keyOf(account, from.slice(0, MONTH_CHARS))) ?? {
        places: new SortedList(),
        rows: new Map(),
      };
      const after = placeAfter(page, list, USAGE_PLACE);
      const found = places.between({ from: after === undefined ? from : justAfter(after), until: to }, page.limit + 1);
      return pageOf(found, list, page.limit, (place) => rows.get(place));
    },

    async isAnnounced(announcement) {
      await null;
      return tables.announced.has(announcement);
    },

    async setAnnounced(announcement) {
      await null;
      tables.announced.add(announcement);
    },

    async readCluster(cluster) {
      await null;
      return tables.clusters.get(cluster);
    },

    async listClusters(page) {
      await null;
      return listByName(tables.clusterNames, ['clusters'], page, tables.clusters);
    },

    async beat(heartbeat, goneBefore) {
      await null;
      const claimed = tables.clusters.get(heartbeat.cluster);
      const { principal, ...beating } = heartbeat;
      const own = principal === null ? [] : [principal];
      const principals = claimed === undefined || claimed.principals.length === 0 ? own : claimed.principals;
      const isAnother = principal !== null && !principals.includes(principal);
      const isHeard = claimed !== undefined && claimed.lastHeartbeat >= goneBefore;
      if (isHeard && (isAnother || claimed.clusterUid !== heartbeat.clusterUid)) return claimed;
      const stored = kept({ ...beating, principals: isAnother ? own : principals });
      tables.clusters.set(heartbeat.cluster, stored);
      tables.clusterNames.add(heartbeat.cluster);
      return stored;
    },

    async namePrincipals(cluster, principals) {
      await null;
      const claimed = tables.clusters.get(cluster);
      if (claimed === undefined) return undefined;
      const stored = kept({ ...claimed, principals });
      tables.clusters.set(cluster, stored);
      return stored;
    },

    async readPartition(partition) {
      await null;
      return tables.partitions.get(partition);
    },

    async listPartitions(page) {
      await null;
      return listByName(tables.partitionNames, ['partitions'], page, tables.partitions);
    },

    async writePartition(model) {
      await null;
      tables.partitions.set(model.partition, kept(model));
      tables.partitionNames.add(model.partition);
    },

    async deletePartition(partition) {
      await null;
      tables.partitionNames.remove(partition);
      return tables.partitions.delete(partition);
    },

    async readPrice({ region, type }) {
      await null;
      return tables.prices.get(keyOf(region, type));
    },

    async writePrice(price) {
      await null;
      tables.prices.set(keyOf(price.region, price.offer.type), kept(price));
    },
  };
};

/** Every part whose condition fails, or undefined if the booking may be written. Nothing is written here. */
const refusalOf = (tables: Tables, booking: Booking): Refusal | undefined => {
  const { hold, jobLink, deposit } = booking;
  const accounts = booking.accounts
    .map((change) => ({ change, stored: tables.accounts.get(change.account) ?? null }))
    .filter(({ change, stored }) => !allows(stored, change))
    .map(({ change, stored }) => ({ account: change.account, stored }));
  const runs = (booking.runs ?? [])
    .map(({ before, after }) => ({ before, runId: after.runId, stored: tables.runs.get(after.owner)?.runs.get(after.runId) ?? null }))
    .filter(({ before, stored }) => stored?.corrections.length !== before?.corrections.length)
    .map(({ runId, stored }) => ({ runId, stored }));
  const storedHold = hold && (tables.holds.get(hold.after.holdId) ?? null);
  const storedLink =
    jobLink && (tables.jobLinks.get(keyOf(jobLink.link.cluster, jobLink.link.jobId))?.links.get(isoOf(jobLink.link.submittedAt)) ?? null);
  const storedDeposit = deposit && tables.deposits.get(keyOf(deposit.account, deposit.depositId));
  const linkIsTaken = storedLink && storedLink.holdId !== jobLink?.link.holdId && storedLink.holdId !== jobLink?.replaces;
  const refusal: Refusal = {
    accounts,
    runs,
    ...(storedHold !== undefined && storedHold?.version !== hold?.before?.version && { hold: { stored: storedHold } }),
    ...(linkIsTaken && { jobLink: { stored: storedLink } }),
    ...(storedDeposit && { deposit: { stored: storedDeposit } }),
  };
  const entryExists = booking.entries.some(({ entryId }) => tables.entryIds.has(entryId));
  return Object.keys(refusal).length > 2 || accounts.length > 0 || runs.length > 0 || entryExists ? refusal : undefined;
};

const allows = (stored: Account | null, change: AccountChange): boolean => {
  if (stored === null) return false;
  const { profile, movement, require } = change;
  if (profile?.ifVersion !== undefined && profile.ifVersion !== stored.version) return false;
  if (profile?.set.status === 'closed' && stored.held !== 0n) return false;
  switch (require.kind) {
    case 'fact':
      return true;
    case 'demand':
      return unwillingness(stored, { amount: -movement.available, today: require.today }) === undefined;
    case 'withdraw':
      return stored.available >= -movement.available;
    case 'deposit':
      return stored.limit + movement.limit <= MAX_AMOUNT_MICRO_USD;
  }
};

const apply = (tables: Tables, { accounts, entries, hold, runs, jobLink, deposit }: Booking): void => {
  for (const change of accounts) {
    const account = tables.accounts.get(change.account);
    if (account) tables.accounts.set(change.account, kept(changed(account, change)));
  }
  for (const entry of entries) addEntry(tables, entry);
  if (hold) writeHold(tables, hold.after);
  if (hold?.spec) tables.specs.set(hold.after.holdId, kept(hold.spec));
  for (const { after } of runs ?? []) {
    const { ids, runs: stored } = inMap(tables.runs, after.owner, () => ({ ids: new SortedList(), runs: new Map() }));
    ids.add(after.runId);
    stored.set(after.runId, kept(after));
  }
  if (jobLink) {
    const { link } = jobLink;
    const { times, links } = inMap(tables.jobLinks, keyOf(link.cluster, link.jobId), () => ({ times: new SortedList(), links: new Map() }));
    times.add(isoOf(link.submittedAt));
    links.set(isoOf(link.submittedAt), kept(link));
  }
  if (deposit) tables.deposits.set(keyOf(deposit.account, deposit.depositId), kept(deposit));
};

const changed = (account: Account, change: AccountChange): Account => {
  const { name, description, startDate, endDate, status } = change.profile?.set ?? {};
  return {
    ...moved(account, change),
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...(startDate !== undefined && { startDate }),
    ...(endDate !== undefined && { endDate }),
    ...(status !== undefined && { status }),
    version: account.version + (change.profile ? 1 : 0),
    updatedAt: change.at,
  };
};

const addEntry = (tables: Tables, entry: Entry): void => {
  const { places, entries } = inMap(tables.ledgers, entry.account, () => ({ places: new SortedList(), entries: new Map() }));
  const place = entryPlace(entry);
  places.add(place);
  entries.set(place, kept(entry));
  tables.entryIds.add(entry.entryId);
};

const addUsage = (tables: Tables, usage: Usage): void => {
  const key = keyOf(usage.account, usage.day.slice(0, MONTH_CHARS));
  const { places, rows } = inMap(tables.usage, key, () => ({ places: new SortedList(), rows: new Map() }));
  const place = `${usage.day}#${usage.user ?? ''}#${usage.partition ?? ''}`;
  const before = rows.get(place);
  places.add(place);
  rows.set(place, kept(before === undefined ? usage : combined(before, usage)));
};

/** The hold, and where it is to be found from now on. */
const writeHold = (tables: Tables, hold: Hold): void => {
  const before = tables.holds.get(hold.holdId);
  if (before) for (const { list, place } of listsOf(tables, before)) list.remove(place);
  for (const { list, place } of listsOf(tables, hold)) list.add(place);
  tables.holds.set(hold.holdId, kept(hold));
};

/** A closed hold is in its account's list only, so that no sweep ever walks over it. */
const listsOf = (tables: Tables, hold: Hold): { list: SortedList; place: string }[] => {
  const created = timed(hold.createdAt, hold.holdId);
  const ofAccount = { list: inMap(tables.holdsByAccount, hold.account, () => new SortedList()), place: created };
  if (hold.state !== 'open') return [ofAccount];
  const ofCluster = inMap(isBound(hold) ? tables.bound : tables.unbound, hold.cluster, () => new SortedList());
  return [ofAccount, { list: ofCluster, place: created }, { list: tables.openByExpiry, place: timed(hold.expiresAt, hold.holdId) }];
};

const listByExpiry = (tables: Tables, { list, until }: { list: string; until: string | undefined }, page: PageRequest): Page<string> => {
  const after = placeAfter(page, [list], HOLD_PLACE);
  const places = tables.openByExpiry.between({ from: after === undefined ? undefined : justAfter(after), until }, page.limit);
  const last = places.at(-1);
  return {
    items: places.map((place) => place.slice(place.indexOf('#') + 1)),
    ...(places.length === page.limit && last !== undefined && { cursor: cursorAfter([list], last) }),
  };
};

const listByName = <T>(names: SortedList, list: readonly string[], page: PageRequest, values: ReadonlyMap<string, T>): Page<T> => {
  const after = placeAfter(page, list, NAME_PLACE);
  const found = names.between({ from: after === undefined ? undefined : justAfter(after), until: undefined }, page.limit + 1);
  return pageOf(found, list, page.limit, (name) => values.get(name));
};

const listEntries = (
  tables: Tables,
  { account, from, to }: { account: string; from: Instant; to: Instant },
  page: PageRequest,
): Page<Entry> => {
  const list = ['entries', account];
  const ledger = tables.ledgers.get(account);
  const after = placeAfter(page, list, ENTRY_PLACE);
  if (ledger === undefined || from >= to) return { items: [] };
  // Within a month the ids make the order, so the first month of the time is where to begin, and each entry's own time decides.
  const begin = monthOf(Math.max(from, 0));
  const found: string[] = [];
  for (const place of ledger.places.since(after === undefined || after < begin ? begin : justAfter(after))) {
    const at = ledger.entries.get(place)?.at ?? 0;
    if (place.slice(0, MONTH_CHARS) > monthOf(Math.min(to, LAST_INSTANT)) || found.length > page.limit) break;
    if (at >= from && at < to) found.push(place);
  }
  return pageOf(found, list, page.limit, (place) => ledger.entries.get(place));
};

interface HoldList {
  readonly list: readonly string[];
  readonly startBefore?: string;
  readonly keep: (hold: Hold) => boolean;
}

const listHolds = (tables: Tables, lists: readonly SortedList[], page: PageRequest, { list, startBefore, keep }: HoldList): Page<Hold> => {
  const after = placeAfter(page, list, HOLD_PLACE);
  const before = [startBefore, after].filter((place) => place !== undefined).sort()[0];
  const holdOf = (place: string) => tables.holds.get(place.slice(place.indexOf('#') + 1));
  const found = lists.flatMap((places) =>
    places.before(before, page.limit + 1, (place) => {
      const hold = holdOf(place);
      return hold !== undefined && keep(hold);
    }),
  );
  return pageOf(found.sort().reverse(), list, page.limit, holdOf);
};

/** What is found beyond the limit only says that there is more. */
const pageOf = <T>(found: readonly string[], list: readonly string[], limit: number, rowOf: (place: string) => T | undefined): Page<T> => {
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  const items = shown.map(rowOf).filter((value) => value !== undefined);
  return { items, ...(last !== undefined && found.length > limit && { cursor: cursorAfter(list, last) }) };
};

const MONTH_CHARS = 'yyyy-mm'.length;
const LAST_INSTANT = Date.UTC(9999, 11, 31);

const isoOf = (at: Instant): string => new Date(at).toISOString();
const monthOf = (at: Instant): string => isoOf(at).slice(0, MONTH_CHARS);
const timed = (at: Instant, id: string): string => `${isoOf(at)}#${id}`;
const entryPlace = ({ at, entryId }: Entry): string => `${monthOf(at)}#${entryId}`;
const justAfter = (place: string): string => `${place}\u0000`;
/** Two names as one that no other two give. */
const keyOf = (a: string, b: string): string => JSON.stringify([a, b]);

const inMap = <T>(map: Map<string, T>, key: string, make: () => T): T => {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
};

/** A copy that nobody can change any more, neither whoever gave it nor whoever gets it. */
const kept = <T>(value: T): T => frozen(structuredClone(value));

const frozen = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
};
