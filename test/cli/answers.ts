// What the API answers, as it stands in the contract.

export const anAccountAnswer = (given: object = {}) => ({
  account: 'proj001',
  name: 'Protein folding',
  description: null,
  budget_limit: 1234.56,
  budget_used: 100,
  budget_held: 14.688,
  budget_available: 1119.872,
  budget_unconfirmed: 14.688,
  start_date: '2025-01-01',
  end_date: '2025-12-31',
  status: 'active',
  version: 3,
  created_at: '2025-01-01T08:00:00.000Z',
  updated_at: '2025-02-01T08:00:00.000Z',
  ...given,
});

export const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';

export const aHoldAnswer = (given: object = {}) => ({
  hold_id: HOLD_ID,
  account: 'proj001',
  cluster: 'hpc1',
  user: 'alice',
  partition: 'aws',
  state: 'open',
  amount: 7.344,
  original_amount: 7.344,
  used: 0,
  tasks: 1,
  tasks_ended: 0,
  wall_time: '01:00:00',
  nodes: 2,
  job_id: null,
  submitted_at: null,
  forced: false,
  created_at: '2026-11-23T11:00:00.000Z',
  expires_at: '2026-11-24T12:00:00.000Z',
  closed_at: null,
  ...given,
});

export const anEntryAnswer = (given: object = {}) => ({
  entry_id: '01JD00000000000000000000AA',
  at: '2026-11-23T11:00:00.000Z',
  account: 'proj001',
  type: 'hold',
  amount: 7.344,
  available_delta: -7.344,
  held_delta: 7.344,
  used_delta: 0,
  limit_delta: 0,
  hold_id: HOLD_ID,
  job_id: null,
  run_id: null,
  user: 'alice',
  note: null,
  ...given,
});

export const aVerdictAnswer = (given: object = {}) => ({
  available: true,
  decision: 'admitted',
  estimated_cost: 12.24,
  hold_amount: 14.688,
  budget_remaining: 985.312,
  message: 'account proj001: $14.688 held, $985.312 left',
  recommendation: null,
  wall_time: '01:00:00',
  details: {
    account: { budget_limit: 1000, budget_used: 0, budget_held: 14.688, budget_available: 985.312, budget_unconfirmed: 0 },
    estimate: {
      source: 'catalogue',
      price_date: '2026-07-20',
      confidence: 0.8,
      instance_types: ['c5.18xlarge'],
      nodes: 4,
      wall_time: '01:00:00',
      line_items: [{ name: 'instances', quantity: 4, unit_price: 3.06, amount: 12.24 }],
      low: 12.24,
      high: 12.24,
    },
  },
  ...given,
});

export const aRefusalAnswer = () =>
  aVerdictAnswer({
    available: false,
    decision: 'refused',
    code: 'insufficient_budget',
    budget_remaining: 10,
    message:
      'account proj001 has $10.00 available; this job needs $14.688 held (estimate $12.24). It fits with --time=00:40:00 or --nodes=2.',
    shortfall: 4.688,
    fits: { wall_time: '00:40:00', nodes: 2 },
    details: {
      ...aVerdictAnswer().details,
      account: { budget_limit: 1000, budget_used: 988, budget_held: 2, budget_available: 10, budget_unconfirmed: 2 },
    },
  });

export const aSettlementAnswer = (given: object = {}) => ({
  success: true,
  transaction_id: HOLD_ID,
  run_id: HOLD_ID,
  original_hold: 7.344,
  actual_charge: 3.123457,
  refund_amount: 4.220543,
  hold_state: 'settled',
  late: false,
  message: `run ${HOLD_ID}: $3.123457 charged to proj001, $4.220543 returned`,
  ...given,
});

export const aPartitionAnswer = (given: object = {}) => ({
  partition: 'aws',
  region: 'us-east-1',
  instance_types: ['c5.18xlarge', 'c5n.18xlarge'],
  purchase: 'on-demand',
  allocation: 'exclusive',
  discount_factor: 0.72,
  overhead_minutes: 5,
  overhead_per_node_hour: 0.01,
  overhead: 'run',
  default_wall_time: '01:00:00',
  unpriced: 'deny',
  flat_rate_per_node_hour: null,
  write_off_node_failures: false,
  features: null,
  threads_per_core: 2,
  memory_per_node: null,
  source: 'manual',
  price_per_node_hour: 2.2132,
  price_instance_type: 'c5.18xlarge',
  price_source: 'pricing-api',
  price_date: '2026-11-22',
  price_age_days: 1,
  price_confidence: 1,
  ...given,
});
