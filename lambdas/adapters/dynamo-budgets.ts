// The budget store on DynamoDB, in the one table that contract/table.ts defines.
import { DeleteCommand, type DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import { requireCountable, requireSound } from '#adapters/booking-rules';
import { beat, namePrincipals } from '#adapters/dynamo-clusters';
import { birthOf, refusalOf, removalOf, transactionOf, writesOf } from '#adapters/dynamo-commit';
import {
  decodeAccount,
  decodeCluster,
  decodeDeposit,
  decodeHold,
  decodeJobLink,
  decodePartition,
  decodePrice,
  decodeRun,
  decodeSpec,
  encodeMark,
  encodePartition,
  encodePrice,
} from '#adapters/dynamo-items';
import {
  listByName,
  listEntries,
  listHoldsOfAccount,
  listOpenHolds,
  listOpenHoldsOfCluster,
  listOverdueHoldIds,
  listUsage,
} from '#adapters/dynamo-lists';
import { behind, createRequests } from '#adapters/dynamo-requests';
import { countUsage } from '#adapters/dynamo-usage';
import type { BudgetStore } from '#app/ports';
import {
  ACCOUNT_DIRECTORY,
  ANNOUNCED_FOR_SECONDS,
  accountKey,
  announcedKey,
  CLUSTER_DIRECTORY,
  clusterKey,
  DEPOSIT_PREFIX,
  depositKey,
  holdKey,
  isoOf,
  jobPartition,
  PARTITION_DIRECTORY,
  partitionKey,
  priceKey,
  RUN_PREFIX,
  runKey,
  specKey,
} from '#contract/table';

/**
 * Reads and writes of one item are one request, lists a bounded number. Nothing is retried here: the use cases do it, who
 * know how long anybody still listens.
 * @param client of its own, as createDocumentClient makes it: other settings would read money as floats.
 */
export const createDynamoBudgets = ({ client, table }: { client: DynamoDBDocumentClient; table: string }): BudgetStore => {
  const requests = createRequests({ client, table });
  const { get, getAll, query, send, transact } = requests;

  return {
    readAccount: (account) => get(accountKey(account), decodeAccount),

    async listAccounts(page) {
      const names = await listByName(query, { partition: ACCOUNT_DIRECTORY, list: ['accounts'], page }, ({ sk }) => String(sk));
      return { ...names, items: (await getAll(names.items.map(accountKey))).map(decodeAccount) };
    },

    async createAccount(account, opening) {
      return (await transact(transactionOf(birthOf({ account, opening, table }), opening))) === undefined;
    },

    async removeAccount(account, closing) {
      const { pk } = accountKey(account.account);
      // What is deposited after this read changes limit or entry count, and either refuses the removal.
      const { items } = await query({ partition: pk, order: 'ascending', from: DEPOSIT_PREFIX, until: behind(DEPOSIT_PREFIX) }, 2);
      const deposits = items.map(({ sk }) => ({ pk, sk: String(sk) }));
      return (await transact(transactionOf(removalOf({ account, deposits, closing, table }), closing))) === undefined;
    },

    async commit(booking) {
      const writes = writesOf(requireSound(booking), table);
      const transaction = transactionOf(
        writes.map(({ item }) => item),
        booking.entries[0],
      );
      const cancelled = await transact(transaction);
      return cancelled === undefined ? { booked: true } : { booked: false, refusal: refusalOf(writes, cancelled) };
    },

    readDeposit: (key) => get(depositKey(key), decodeDeposit),
    listEntries: (asked, page) => listEntries(query, asked, page),

    readHold: (holdId) => get(holdKey(holdId), decodeHold),
    readSpec: (holdId) => get(specKey(holdId), decodeSpec),
    readRun: (key) => get(runKey(key), decodeRun),
    listRuns: (owner, page) =>
      listByName(query, { partition: runKey({ owner, runId: '' }).pk, prefix: RUN_PREFIX, list: ['runs', owner], page }, decodeRun),

    async readJobLink({ submittedAt, ...job }) {
      const until = submittedAt === undefined ? undefined : isoOf(submittedAt + 1);
      const { items } = await query({ partition: jobPartition(job), order: 'descending', until }, 1);
      return items.map(decodeJobLink)[0];
    },

    listHoldsOfAccount: (asked, page) => listHoldsOfAccount(requests, asked, page),
    listOpenHoldsOfCluster: (asked, page) => listOpenHoldsOfCluster(requests, asked, page),
    listOverdueHoldIds: (asked, page) => listOverdueHoldIds(query, asked, page),

    listOpenHolds: (page) => listOpenHolds(requests, page),

    countUsage: (counted, now) => countUsage(transact, { counted: requireCountable(counted), table, now }),
    listUsage: ({ account, from, to }, page) => listUsage(query, { account, from, to }, page),
    isAnnounced: async (announcement) => (await get(announcedKey(announcement), (item) => item)) !== undefined,
    async setAnnounced(announcement, now) {
      const mark = encodeMark(announcedKey(announcement), { now, forSeconds: ANNOUNCED_FOR_SECONDS });
      await send(client.send(new PutCommand({ TableName: table, Item: mark })));
    },

    readCluster: (cluster) => get(clusterKey(cluster), decodeCluster),
    listClusters: (page) => listByName(query, { partition: CLUSTER_DIRECTORY, list: ['clusters'], page }, decodeCluster),
    beat: (heartbeat, goneBefore) => send(beat({ client, table }, heartbeat, goneBefore)),
    namePrincipals: (cluster, principals) => send(namePrincipals({ client, table }, cluster, principals)),

    readPartition: (partition) => get(partitionKey(partition), decodePartition),
    listPartitions: (page) => listByName(query, { partition: PARTITION_DIRECTORY, list: ['partitions'], page }, decodePartition),

    async writePartition(model) {
      await send(client.send(new PutCommand({ TableName: table, Item: encodePartition(model) })));
    },

    async deletePartition(partition) {
      const command = new DeleteCommand({ TableName: table, Key: { ...partitionKey(partition) }, ReturnValues: 'ALL_OLD' });
      return (await send(client.send(command))).Attributes !== undefined;
    },

    readPrice: (wanted) => get(priceKey(wanted), decodePrice),
    async writePrice(price) {
      await send(client.send(new PutCommand({ TableName: table, Item: encodePrice(price) })));
    },
  };
};
