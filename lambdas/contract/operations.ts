// What each operation is for, and which refusals it may answer with beside those of every route. For the OpenAPI document only;
// a test compares the refusals with what handlers really answer.
import type { Operation } from '#contract/routes';
import type { ErrorCode } from '#domain/errors';

export type Tag = 'budget' | 'holds' | 'clusters' | 'accounts' | 'usage' | 'partitions' | 'service';

export interface Told {
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  readonly refusals: readonly ErrorCode[];
}

export const TAGS: Readonly<Record<Tag, string>> = {
  budget: 'What a submission asks, and what a job came to.',
  holds: 'Money set aside for one submission.',
  clusters: 'Who tells the API what became of jobs.',
  accounts: 'Who pays, and the ledger of it.',
  usage: 'Sums of ended runs.',
  partitions: 'What stands behind a Slurm partition, and what it costs.',
  service: 'The API itself.',
};

const PRICING: readonly ErrorCode[] = ['partition_not_found', 'no_price', 'no_wall_time', 'does_not_fit'];
const SETTLING: readonly ErrorCode[] = [
  ...PRICING,
  'account_not_found',
  'hold_not_found',
  'job_not_found',
  'run_conflict',
  'hold_conflict',
  'cluster_conflict',
];

export const OPERATIONS: Readonly<Record<Operation, Told>> = {
  health: {
    tag: 'service',
    summary: 'Is somebody here?',
    description: 'Shallow: it does not look at the table. The only route that takes unsigned requests.',
    refusals: [],
  },
  quoteBudget: {
    tag: 'budget',
    summary: 'What would a check say?',
    description: 'As check, but nothing is held: `hold_id`, `transaction_id` and `expires_at` are absent. Waits at most 5 s for a price.',
    refusals: [...PRICING, 'account_not_found'],
  },
  checkBudget: {
    tag: 'budget',
    summary: 'May this job run? If so, hold its money.',
    description:
      'A refusal for lack of budget is a normal answer: 200 with `available: false`. The same `hold_id` with the same request answers with the same hold, so asking again after silence is safe. Without a `hold_id` one is made. Deployed, `cluster` is required.',
    refusals: [...PRICING, 'account_not_found', 'hold_conflict', 'hold_closed'],
  },
  adjustHold: {
    tag: 'holds',
    summary: 'Change what is held for, to absolute values',
    description: 'With `available: false` nothing changed.',
    refusals: [...PRICING, 'account_not_found', 'hold_not_found', 'hold_closed', 'hold_conflict'],
  },
  adjustJob: {
    tag: 'holds',
    summary: 'The same, of the hold that a job was bound to',
    refusals: [...PRICING, 'account_not_found', 'hold_not_found', 'job_not_found', 'hold_closed', 'hold_conflict'],
  },
  reconcile: {
    tag: 'budget',
    summary: 'Book what one run cost',
    description:
      'The hold is named by `transaction_id`, `hold_id`, or `cluster` and `job_id`; one that nobody knows is booked late if `account` is given. Either `actual_cost` or `elapsed_seconds`. The same run again answers as then.',
    refusals: SETTLING,
  },
  forceHold: {
    tag: 'holds',
    summary: 'Hold money for a job that is there already',
    description: 'Never refused for money, status or dates.',
    refusals: [...PRICING, 'account_not_found', 'hold_closed', 'hold_conflict', 'cluster_conflict'],
  },
  bindHold: {
    tag: 'holds',
    summary: 'Say which job a hold is for',
    description: 'The same job again is the same answer.',
    refusals: ['hold_not_found', 'hold_conflict', 'hold_closed', 'cluster_conflict', 'no_price', 'does_not_fit', 'partition_not_found'],
  },
  extendHold: {
    tag: 'holds',
    summary: 'Let a hold wait longer',
    description: 'The answer says how long the server grants.',
    refusals: ['hold_not_found', 'hold_closed'],
  },
  releaseHold: {
    tag: 'holds',
    summary: 'Give the money back',
    description: 'Again is the same answer.',
    refusals: ['hold_not_found', 'hold_closed'],
  },
  settleRuns: {
    tag: 'holds',
    summary: 'Book up to 40 runs of one hold, all or none',
    description: 'A run that was booked before at the same cost answers as then; a `run_conflict` refuses the batch and names the run.',
    refusals: SETTLING,
  },
  showRun: { tag: 'holds', summary: 'One run of a hold', refusals: ['run_not_found'] },
  correctRun: {
    tag: 'holds',
    summary: 'Change what a booked run cost',
    refusals: [...PRICING, 'hold_not_found', 'run_not_found', 'run_conflict', 'account_not_found'],
  },
  showHold: { tag: 'holds', summary: 'A hold, its job, its price and its runs', refusals: ['hold_not_found'] },
  showJob: {
    tag: 'holds',
    summary: 'Which hold a job was bound to',
    description: 'Also after that hold has ended. Numbers of jobs come again; `submitted_at` says which is meant.',
    refusals: ['job_not_found'],
  },
  listHoldsOfCluster: { tag: 'holds', summary: 'Open holds of a cluster, newest first', refusals: [] },
  beatCluster: {
    tag: 'clusters',
    summary: "An agent's heartbeat",
    description: 'The first claims the name.',
    refusals: ['cluster_conflict'],
  },
  listClusters: { tag: 'clusters', summary: 'Clusters and their last heartbeats', refusals: [] },
  listAccounts: { tag: 'accounts', summary: 'Accounts by name', refusals: [] },
  createAccount: { tag: 'accounts', summary: 'Open an account', refusals: ['account_exists'] },
  showAccount: { tag: 'accounts', summary: 'One account', refusals: ['account_not_found'] },
  updateAccount: {
    tag: 'accounts',
    summary: 'Change an account',
    refusals: ['account_not_found', 'below_committed', 'version_conflict', 'account_has_open_holds'],
  },
  deleteAccount: {
    tag: 'accounts',
    summary: 'Remove or close an account',
    description: 'Removed if nothing but its opening deposit was ever booked, else closed.',
    refusals: ['account_not_found', 'account_has_open_holds'],
  },
  deposit: {
    tag: 'accounts',
    summary: 'Raise or lower the limit by an amount',
    description: 'The same id and amount again is the same answer.',
    refusals: ['account_not_found', 'deposit_conflict', 'below_committed'],
  },
  listTransactions: { tag: 'accounts', summary: 'The ledger of an account, oldest first', refusals: ['account_not_found'] },
  listHoldsOfAccount: { tag: 'accounts', summary: 'Holds of an account, newest first', refusals: ['account_not_found'] },
  showAccountUsage: { tag: 'usage', summary: 'What runs of one account came to', refusals: ['account_not_found'] },
  showUsage: { tag: 'usage', summary: 'What runs of all accounts came to', refusals: [] },
  showAccountAccuracy: {
    tag: 'usage',
    summary: 'How good the estimates of one account were',
    description: 'Of holds that closed in these days and were used. A hold percentage is suggested from at least `min_holds` of them.',
    refusals: ['account_not_found'],
  },
  showAccuracy: { tag: 'usage', summary: 'How good the estimates of all accounts were', refusals: [] },
  namePrincipals: {
    tag: 'clusters',
    summary: 'Say whose roles act for a cluster',
    description: 'Instead of those that were named or have claimed it. A role acts for one cluster.',
    refusals: ['cluster_not_found', 'cluster_conflict'],
  },
  audit: {
    tag: 'service',
    summary: 'Replay ledgers and compare',
    description: 'Administrators only. Go on with `cursor` until there is none.',
    refusals: ['account_not_found'],
  },
  listPartitions: { tag: 'partitions', summary: 'Partitions by name', refusals: [] },
  showPartition: { tag: 'partitions', summary: 'One partition', refusals: ['partition_not_found'] },
  putPartition: {
    tag: 'partitions',
    summary: 'Say what stands behind a partition',
    description: 'Only `region` and `instance_types` are needed; whatever is left out is set to its default.',
    refusals: [],
  },
  deletePartition: { tag: 'partitions', summary: 'Forget a partition', refusals: ['partition_not_found'] },
  showSettings: { tag: 'service', summary: 'How this service is set', description: 'No secrets.', refusals: [] },
  showOpenApi: { tag: 'service', summary: 'This document', refusals: [] },
};

/** Whatever a route does, it may answer with these. */
const OF_ALL: readonly ErrorCode[] = ['validation_failed', 'internal_error'];
const OF_SIGNED: readonly ErrorCode[] = ['not_authorized'];
const OF_STORE: readonly ErrorCode[] = ['account_contended', 'service_unavailable', 'deadline_passed'];

const WITHOUT_STORE: ReadonlySet<Operation> = new Set<Operation>(['health', 'showSettings', 'showOpenApi']);

/** Every code that an operation may answer with. */
export const refusalsOf = (operation: Operation, { hasBody }: { hasBody: boolean }): readonly ErrorCode[] => [
  ...OF_ALL,
  ...(operation === 'health' ? [] : OF_SIGNED),
  ...(WITHOUT_STORE.has(operation) ? [] : OF_STORE),
  ...(hasBody ? (['body_too_large'] as const) : []),
  ...OPERATIONS[operation].refusals,
];
