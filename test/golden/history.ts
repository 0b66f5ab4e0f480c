// What happened before anybody types a command: a month of a small university, told as requests and when each was made.
// Told twice, it ends in the same money.

export interface Teller {
  /** It is this time now. */
  at(time: string): Promise<void> | void;
  /** @throws Error if it is refused */
  send(method: 'POST' | 'PUT' | 'PATCH', path: string, body: object): Promise<void>;
}

/** When the history ends and people look. */
export const NOW = '2026-11-23T12:00:00.000Z';

export const holdId = (n: number): string => `6f1c0f5e-0000-4000-8000-${String(n).padStart(12, '0')}`;

const ACCOUNTS = [
  { account: 'physics', name: 'Computational astrophysics', budget_limit: 5000, start_date: '2026-01-01', end_date: '2026-12-31' },
  {
    account: 'bioinformatics_core',
    name: 'Bioinformatics Core Facility, Faculty of Medicine and Health Sciences',
    description:
      'Shared by eleven groups; bill to cost centre 4711. Ask the core facility before a run of more than a day on more than 16 nodes.',
    budget_limit: 125_000,
  },
  { account: 'chem', name: 'Molecular dynamics', budget_limit: 250.5 },
  { account: 'geology', budget_limit: 100 },
  { account: 'teaching', name: 'HPC course, winter term', budget_limit: 300, start_date: '2026-10-01', end_date: '2027-02-28' },
];

interface Placed {
  readonly n: number;
  readonly account: string;
  readonly user: string;
  readonly partition: string;
  readonly nodes: number;
  readonly wall_time: string;
  readonly array?: string;
  readonly jobId?: string;
}

/** Ask, and where Slurm made a job of it, bind. */
const place = async ({ send }: Teller, at: string, { n, jobId, ...job }: Placed): Promise<void> => {
  await send('POST', '/budget/check', { ...job, cluster: 'hpc1', hold_id: holdId(n) });
  if (jobId !== undefined) await send('POST', `/holds/${holdId(n)}/bind`, { cluster: 'hpc1', job_id: jobId, submitted_at: at });
};

const ran = ({ send }: Teller, n: number, runs: readonly object[]): Promise<void> => send('POST', `/holds/${holdId(n)}/runs`, { runs });

export const tellHistory = async (teller: Teller): Promise<void> => {
  const { at, send } = teller;
  const now = async (time: string): Promise<string> => {
    await at(time);
    return time;
  };

  await now('2026-10-01T08:00:00.000Z');
  for (const account of ACCOUNTS) await send('POST', '/accounts', account);
  await send('PUT', '/partitions/spot', {
    ...{ region: 'us-east-1', instance_types: ['c5.18xlarge', 'c5n.18xlarge', 'm5.24xlarge'], purchase: 'spot' },
    ...{ overhead_minutes: 5, overhead_per_node_hour: 0.05, default_wall_time: '01:00:00', source: 'fleet-config.json' },
  });
  await send('PUT', '/partitions/lab', { region: 'us-east-1', instance_types: [], unpriced: 'flat', flat_rate_per_node_hour: 2.5 });
  await send('PUT', '/clusters/hpc2', { cluster_uid: 'second', agent_version: '0.1.0' });

  let time = await now('2026-10-12T09:30:00.000Z');
  await place(teller, time, { n: 1, account: 'physics', user: 'alice', partition: 'aws', nodes: 8, wall_time: '12:00:00', jobId: '4001' });
  time = await now('2026-10-12T20:00:00.000Z');
  const october = { started_at: '2026-10-12T09:45:00.000Z', ended_at: '2026-10-12T19:45:00.000Z' };
  await ran(teller, 1, [{ run_id: 'hpc1-4001', elapsed_seconds: 36_000, nodes: 8, partition: 'aws', state: 'COMPLETED', ...october }]);

  time = await now('2026-11-02T10:00:00.000Z');
  await place(teller, time, { n: 2, account: 'physics', user: 'bob', partition: 'gpu', nodes: 1, wall_time: '1-00:00:00', jobId: '4107' });
  await place(teller, time, { n: 3, account: 'chem', user: 'carol', partition: 'aws', nodes: 2, wall_time: '10:00:00', jobId: '4108' });
  await place(teller, time, {
    ...{ n: 4, account: 'bioinformatics_core', user: 'konstantin.weissmueller', partition: 'aws', nodes: 1, wall_time: '02:00:00' },
    ...{ array: '1-20', jobId: '4110' },
  });
  await send('POST', '/accounts/chem/deposits', { amount: 50, deposit_id: 'grant-2026-q4', note: 'Q4, from the dean' });
  time = await now('2026-11-03T11:00:00.000Z');
  const november = { started_at: '2026-11-02T10:05:00.000Z', ended_at: '2026-11-03T10:05:00.000Z' };
  await ran(teller, 2, [{ run_id: 'hpc1-4107', elapsed_seconds: 86_400, nodes: 1, partition: 'gpu', state: 'TIMEOUT', ...november }]);
  await ran(teller, 3, [
    { run_id: 'hpc1-4108a', elapsed_seconds: 7200, nodes: 2, partition: 'aws', state: 'REQUEUED', ended_at: '2026-11-02T12:10:00.000Z' },
    { run_id: 'hpc1-4108b', elapsed_seconds: 21_600, nodes: 2, partition: 'aws', state: 'COMPLETED', ended_at: '2026-11-02T20:10:00.000Z' },
  ]);
  await ran(
    teller,
    4,
    [1, 2, 3].map((task) => ({
      ...{ run_id: `hpc1-4110-${task}`, elapsed_seconds: 3600 + task, nodes: 1, partition: 'aws', state: 'COMPLETED' },
      ended_at: '2026-11-03T10:30:00.000Z',
    })),
  );
  // The others wait: the agent keeps their money.
  await send('POST', `/holds/${holdId(4)}/extend`, { expires_at: '2026-11-25T12:00:00.000Z' });
  // ASBX reports a run that no hold was placed for: it is booked late, and overdraws.
  await send('POST', '/budget/reconcile', {
    ...{ cluster: 'hpc1', job_id: '4099', account: 'geology', user: 'dave', partition: 'aws', run_id: 'hpc1-4099' },
    ...{ actual_cost: 112.375, submitted_at: '2026-11-02T10:00:00.000Z', ended_at: '2026-11-02T18:00:00.000Z' },
  });

  time = await now('2026-11-22T16:00:00.000Z');
  await place(teller, time, {
    n: 5,
    account: 'physics',
    user: 'alice',
    partition: 'aws',
    nodes: 16,
    wall_time: '2-00:00:00',
    jobId: '4242',
  });
  await place(teller, time, { n: 6, account: 'physics', user: 'bob', partition: 'spot', nodes: 2, wall_time: '04:00:00' });
  await send('POST', `/holds/${holdId(6)}/release`, { reason: 'Slurm refused the job' });
  await send('POST', '/holds/forced', {
    ...{ hold_id: holdId(7), cluster: 'hpc1', job_id: '4243', submitted_at: time, account: 'teaching', user: 'eve' },
    ...{ partition: 'lab', nodes: 4, wall_time: '08:00:00', reason: 'a job without a hold' },
  });
  time = await now('2026-11-23T11:52:00.000Z');
  await place(teller, time, { n: 8, account: 'chem', user: 'carol', partition: 'aws', nodes: 1, wall_time: '00:40:00' });
  await now('2026-11-23T11:59:20.000Z');
  await send('PUT', '/clusters/hpc1', { cluster_uid: 'first', agent_version: '0.1.0' });
  await now(NOW);
};
