// Accounts, partitions and the audit: what people with the right to give money do.
import { auditAccounts } from '#app/audit-accounts';
import { createAccount } from '#app/create-account';
import { deleteAccount } from '#app/delete-account';
import { deposit } from '#app/deposit';
import { measureAccuracy } from '#app/measure-accuracy';
import { namePrincipals } from '#app/name-principals';
import { partitionPrice } from '#app/partition-price';
import { QUOTE_PATIENCE_MS } from '#app/patience';
import type { World } from '#app/ports';
import { readAccountOrThrow } from '#app/read';
import { summarizeUsage } from '#app/summarize-usage';
import { updateAccount } from '#app/update-account';
import { compact } from '#contract/compact';
import {
  AccountHoldsQuery,
  AccountPath,
  AccuracyQuery,
  AuditRequest,
  ClusterPath,
  CreateAccountRequest,
  DepositRequest,
  PageQuery,
  PartitionPath,
  PartitionRequest,
  PrincipalsRequest,
  TransactionsQuery,
  UpdateAccountRequest,
  UsageQuery,
} from '#contract/requests';
import { BudgetError } from '#domain/errors';
import type { PartitionModel } from '#domain/partition';
import {
  accountAnswer,
  accuracyAnswer,
  auditAnswer,
  clusterAnswer,
  entryAnswer,
  holdAnswer,
  partitionAnswer,
  settingsAnswer,
  usageAnswer,
} from '#http/answers';
import { packPlace, unpackPlace } from '#http/audit-cursor';
import { created, noContent, ok, pageOf, type RoutesOf, route } from '#http/route';
import { toPartition } from '#http/to-domain';

/** The young end of each ledger, and what is open, is read whole before an audit answers, so it takes few accounts at a time. */
const ACCOUNTS_PER_AUDIT = 25;
/** Entries of a machine whose clock is ahead are still part of "until now". */
const CLOCK_SKEW_MS = 60 * 60 * 1000;

const listAccounts = route({ query: PageQuery }, async ({ query }, { store }) => {
  const page = await store.listAccounts(pageOf(query));
  return ok({ accounts: page.items.map(accountAnswer), ...compact({ cursor: page.cursor }) });
});

const createAccountRoute = route({ body: CreateAccountRequest }, async ({ body }, world) =>
  created(
    accountAnswer(
      await createAccount(world, {
        account: body.account,
        name: body.name ?? null,
        description: body.description ?? null,
        limit: body.budget_limit,
        startDate: body.start_date ?? null,
        endDate: body.end_date ?? null,
      }),
    ),
  ),
);

const showAccount = route({ path: AccountPath }, async ({ path }, { store }) =>
  ok(accountAnswer(await readAccountOrThrow(store, path.account))),
);

const updateAccountRoute = route({ path: AccountPath, body: UpdateAccountRequest }, async ({ path, body }, world) =>
  ok(
    accountAnswer(
      await updateAccount(world, {
        account: path.account,
        set: compact({
          name: body.name,
          description: body.description,
          startDate: body.start_date,
          endDate: body.end_date,
          status: body.status,
        }),
        ...compact({ limit: body.budget_limit, ifVersion: body.if_version }),
      }),
    ),
  ),
);

const deleteAccountRoute = route({ path: AccountPath }, async ({ path }, world) => {
  await deleteAccount(world, path.account);
  return noContent;
});

const depositRoute = route({ path: AccountPath, body: DepositRequest }, async ({ path, body }, world) =>
  ok(
    accountAnswer(
      await deposit(world, { account: path.account, amount: body.amount, depositId: body.deposit_id, note: body.note ?? null }),
    ),
  ),
);

const listTransactions = route({ path: AccountPath, query: TransactionsQuery }, async ({ path, query }, { store, clock }) => {
  const { createdAt } = await readAccountOrThrow(store, path.account);
  const time = { from: Math.max(query.from ?? createdAt, createdAt), to: query.to ?? clock.now() + CLOCK_SKEW_MS };
  const page = await store.listEntries({ account: path.account, ...time }, pageOf(query));
  return ok({ transactions: page.items.map(entryAnswer), ...compact({ cursor: page.cursor }) });
});

const listHoldsOfAccount = route({ path: AccountPath, query: AccountHoldsQuery }, async ({ path, query }, { store }) => {
  await readAccountOrThrow(store, path.account);
  const page = await store.listHoldsOfAccount(
    { account: path.account, ...compact({ state: query.state, user: query.user }) },
    pageOf(query),
  );
  return ok({ holds: page.items.map(holdAnswer), ...compact({ cursor: page.cursor }) });
});

const showAccountUsage = route({ path: AccountPath, query: UsageQuery }, async ({ path, query }, world) =>
  ok(usageAnswer(await summarizeUsage(world, { account: path.account, ...compact(query) }))),
);

const showUsage = route({ query: UsageQuery }, async ({ query }, world) => ok(usageAnswer(await summarizeUsage(world, compact(query)))));

const showAccountAccuracy = route({ path: AccountPath, query: AccuracyQuery }, async ({ path, query: { risk, ...query } }, world) =>
  ok(accuracyAnswer(await measureAccuracy(world, { account: path.account, riskE4: risk, ...compact(query) }))),
);

const showAccuracy = route({ query: AccuracyQuery }, async ({ query: { risk, ...query } }, world) =>
  ok(accuracyAnswer(await measureAccuracy(world, { riskE4: risk, ...compact(query) }))),
);

const audit = route({ body: AuditRequest }, async ({ body }, world) => {
  const { cursor, walk } = unpackPlace(body.cursor);
  const done = await auditAccounts(world, {
    ...compact({ account: body.account, walk }),
    page: { limit: ACCOUNTS_PER_AUDIT, ...compact({ cursor }) },
    mode: body.repair ? 'repair' : 'compare',
  });
  return ok(auditAnswer(done, packPlace(done)));
});

/** What is known of its price, unless there is time to ask. */
const pricedAnswer = async (world: World, model: PartitionModel, patienceMs = 0) =>
  partitionAnswer(model, { price: await partitionPrice(world, model, patienceMs), now: world.clock.now() });

const listPartitions = route({ query: PageQuery }, async ({ query }, world) => {
  const page = await world.store.listPartitions(pageOf(query));
  const partitions: Awaited<ReturnType<typeof pricedAnswer>>[] = [];
  for (const model of page.items) partitions.push(await pricedAnswer(world, model)); // One by one: most have their types in common.
  return ok({ partitions, ...compact({ cursor: page.cursor }) });
});

const showPartition = route({ path: PartitionPath }, async ({ path }, world) => {
  const model = await world.store.readPartition(path.partition);
  if (model === undefined) throw partitionNotFound(path.partition);
  return ok(await pricedAnswer(world, model));
});

const putPartition = route({ path: PartitionPath, body: PartitionRequest }, async ({ path, body }, world) => {
  const model = toPartition(path.partition, body);
  await world.store.writePartition(model);
  // Its prices are fetched now, so that its first submission finds them. One that cannot be had is no reason against the model.
  return ok(await pricedAnswer(world, model, QUOTE_PATIENCE_MS));
});

const deletePartition = route({ path: PartitionPath }, async ({ path }, { store }) => {
  if (!(await store.deletePartition(path.partition))) throw partitionNotFound(path.partition);
  return noContent;
});

const namePrincipalsRoute = route({ path: ClusterPath, body: PrincipalsRequest }, async ({ path, body }, world) =>
  ok(clusterAnswer(await namePrincipals(world, { cluster: path.cluster, principals: body.principals }))),
);

const partitionNotFound = (partition: string): BudgetError =>
  new BudgetError('partition_not_found', `there is no partition ${partition} here: see 'asbb partition list'`, { partition });

const showSettings = route({}, async (_, { settings }) => ok(settingsAnswer(settings)));

// Made by `npm run openapi` of the same shapes; read only when it is asked for.
const showOpenApi = route({}, async () => ok((await import('../../docs/openapi.json', { with: { type: 'json' } })).default));

export const adminRoutes: RoutesOf<'admin'> = {
  listAccounts,
  createAccount: createAccountRoute,
  showAccount,
  updateAccount: updateAccountRoute,
  deleteAccount: deleteAccountRoute,
  deposit: depositRoute,
  listTransactions,
  showAccountUsage,
  showUsage,
  showAccountAccuracy,
  showAccuracy,
  listHoldsOfAccount,
  audit,
  listPartitions,
  showPartition,
  putPartition,
  deletePartition,
  namePrincipals: namePrincipalsRoute,
  showSettings,
  showOpenApi,
};
