// Bodies as they go over the wire, for the OpenAPI document. A test gives them to the shapes.
import type { Operation } from '#contract/routes';

export interface Examples {
  readonly request?: unknown;
  /** By a name for each. */
  readonly answers?: Readonly<Record<string, unknown>>;
}

const HOLD_ID = 'd3b07384-d9a0-4c9b-8f3e-1a2b3c4d5e6f';
const job = { account: 'proj001', partition: 'aws', user: 'alice', cluster: 'hpc1', nodes: 1, wall_time: '01:00:00' };

const funds = { budget_limit: 1000, budget_used: 100, budget_held: 0, budget_available: 900, budget_unconfirmed: 0 };
const account = {
  account: 'proj001',
  name: 'Protein folding',
  description: null,
  ...funds,
  start_date: '2026-01-01',
  end_date: '2026-12-31',
  status: 'active',
  version: 3,
  created_at: '2026-01-01T08:00:00.000Z',
  updated_at: '2026-11-23T15:00:00.000Z',
};
const estimate = {
  source: 'flat-rate',
  price_date: null,
  confidence: 0.5,
  tried: [],
  instance_types: [],
  nodes: 1,
  wall_time: '01:00:00',
  line_items: [{ name: '1 node at a flat rate', quantity: 1, unit_price: 10, amount: 10 }],
  low: 10,
  high: 10,
};
const priced = { estimated_cost: 10, hold_amount: 12, recommendation: null, wall_time: '01:00:00' };
const admitted = {
  available: true,
  decision: 'admitted',
  ...priced,
  hold_id: HOLD_ID,
  transaction_id: HOLD_ID,
  expires_at: '2026-11-24T16:00:00.000Z',
  budget_remaining: 888,
  message: 'admitted: $12.00 held of proj001',
  details: { account: { ...funds, budget_held: 12, budget_available: 888, budget_unconfirmed: 12 }, estimate },
};
const refused = {
  available: false,
  decision: 'refused',
  ...priced,
  budget_remaining: 10,
  message: 'refused: $12.00 wanted, $10.00 left in proj001',
  code: 'insufficient_budget',
  shortfall: 2,
  fits: { wall_time: '00:50:00' },
  details: { account: { ...funds, budget_used: 990, budget_available: 10 }, estimate },
};
const settlement = {
  success: true,
  transaction_id: HOLD_ID,
  run_id: 'hpc1-99',
  original_hold: 12,
  actual_charge: 9.5,
  refund_amount: 2.5,
  hold_state: 'settled',
  late: false,
  message: 'run hpc1-99: $9.50 charged to proj001, $2.50 returned',
};
const partition = {
  partition: 'aws',
  region: 'us-east-1',
  instance_types: ['c5.18xlarge'],
  purchase: 'on-demand',
  allocation: 'exclusive',
  discount_factor: 1,
  overhead_minutes: 5,
  overhead_per_node_hour: 0,
  overhead: 'run',
  default_wall_time: null,
  unpriced: 'deny',
  flat_rate_per_node_hour: null,
  write_off_node_failures: false,
  features: null,
  threads_per_core: 2,
  memory_per_node: null,
  source: 'manual',
  price_per_node_hour: 3.06,
  price_instance_type: 'c5.18xlarge',
  price_source: 'pricing-api',
  price_date: '2026-11-01',
  price_age_days: 24,
  price_confidence: 1,
};
const run = {
  run_id: 'hpc1-99',
  actual_cost: 9.5,
  started_at: '2026-11-23T15:05:00Z',
  ended_at: '2026-11-23T16:02:00Z',
  state: 'COMPLETED',
};

export const EXAMPLES: Readonly<Partial<Record<Operation, Examples>>> = {
  health: { answers: { here: { status: 'ok', version: '0.1.0', time: '2026-11-23T15:00:00.000Z' } } },
  quoteBudget: { request: job },
  checkBudget: { request: { ...job, hold_id: HOLD_ID, deadline_ms: 1500 }, answers: { admitted, refused } },
  adjustHold: { request: { wall_time: '02:00:00', raise_only: true } },
  adjustJob: { request: { wall_time: '02:00:00' } },
  reconcile: { request: { ...run, transaction_id: HOLD_ID }, answers: { settled: settlement } },
  forceHold: { request: { ...job, hold_id: HOLD_ID, job_id: '4242', submitted_at: '2026-11-23T15:00:00Z', reason: 'the API was away' } },
  bindHold: { request: { cluster: 'hpc1', job_id: '4242', submitted_at: '2026-11-23T15:00:00Z' } },
  extendHold: { request: { expires_at: '2026-11-25T16:00:00Z' } },
  releaseHold: { request: { reason: 'cancelled' } },
  settleRuns: { request: { runs: [run] }, answers: { settled: { results: [settlement] } } },
  correctRun: { request: { actual_cost: 9.75, correction_id: 'bill-2026-11', note: 'as the bill says' } },
  namePrincipals: { request: { principals: ['arn:aws:iam::111122223333:role/head-node'] } },
  beatCluster: {
    request: { cluster_uid: 'b1946ac9', agent_version: '0.1.0' },
    answers: { known: { cluster: 'hpc1', stale_at: '2026-11-23T15:05:00.000Z' } },
  },
  createAccount: {
    request: { account: 'proj001', name: 'Protein folding', budget_limit: 1000, start_date: '2026-01-01', end_date: '2026-12-31' },
    answers: { opened: account },
  },
  showAccount: { answers: { active: account } },
  updateAccount: { request: { budget_limit: 1200, if_version: 3 } },
  deposit: { request: { amount: 500, deposit_id: 'grant-2026', note: 'second year of the grant' } },
  showUsage: {
    answers: {
      'by account': {
        rows: [{ key: 'proj001', jobs: 12, used: 100, held: 12, node_hours: 24 }],
        total: { jobs: 12, used: 100, held: 12, node_hours: 24 },
        from: null,
        to: null,
      },
    },
  },
  audit: { request: { account: 'proj001' }, answers: { 'as it should be': { accounts: 1, entries: 120, differences: [] } } },
  putPartition: { request: { region: 'us-east-1', instance_types: ['c5.18xlarge'], overhead_minutes: 5 }, answers: { stored: partition } },
};
