// docs/cost.md out of counts: dollars a month by service, what they are without this or that, and the tables.
import { ARRAY_TASKS, type CostCounts, type Counts, STORED_OVERHEAD_BYTES, type Step, type StepName } from '#test/bench/cost-count';
import { ASSUMED, ASSUMPTIONS, PRICES, type PriceName, RELATIVE_USD_PER_MONTH } from '#test/bench/cost-prices';

const JOBS_A_MONTH = [0, 10_000, 100_000, 1_000_000, 10_000_000];
const MILLION = 1_000_000;
const GB = 1e9;
const DAYS = 30;
/** After so many months of as many jobs; nothing of a job is ever deleted. */
const LATER_MONTHS = 12;

/** What may be changed; each is true as it is built. */
interface Design {
  readonly traced: boolean;
  readonly auditDaily: boolean;
  readonly listAllQuarterly: boolean;
  readonly readerTakesAll: boolean;
  readonly holdEvents: boolean;
  readonly specKept: boolean;
  readonly unconfirmedCounted: boolean;
  readonly operationMetrics: boolean;
  readonly eachHoldAlone: boolean;
}

const BUILT: Design = {
  traced: true,
  auditDaily: true,
  listAllQuarterly: true,
  readerTakesAll: true,
  holdEvents: true,
  specKept: true,
  unconfirmedCounted: true,
  operationMetrics: true,
  eachHoldAlone: true,
};

const CHANGES: readonly { readonly without: keyof Design; readonly what: string; readonly gives: string }[] = [
  {
    without: 'traced',
    what: 'Switch tracing off until somebody looks for something',
    gives: 'traces of requests that were not watched',
  },
  {
    without: 'eachHoldAlone',
    what: `Bind and settle all holds of an account that a look of the agent finds, up to ${ASSUMED.runsPerRequest}, in one request and one transaction`,
    gives: 'two more routes, and a hold that cannot be written holds up its batch',
  },
  {
    without: 'auditDaily',
    what: 'Audit each day only what is new since the last audit, and all of it by hand',
    gives: 'an old entry that was changed is found by hand only',
  },
  {
    without: 'listAllQuarterly',
    what: 'List all bound holds each four hours instead of each quarter of an hour',
    gives: 'a hold that somebody else closed is noticed later',
  },
  { without: 'readerTakesAll', what: 'A filter at the stream, for ledger entries, holds and accounts', gives: 'nothing' },
  { without: 'holdEvents', what: 'Put the events of holds on the bus only where a rule wants them', gives: 'nothing; one more setting' },
  {
    without: 'specKept',
    what: 'Do not keep what a hold was asked and priced for, as an item of its own',
    gives: 'a repeated check cannot show its estimate again',
  },
  {
    without: 'unconfirmedCounted',
    what: 'Bind without writing the account, whose count of unconfirmed holds is then read from the index',
    gives: 'a column of the account',
  },
  {
    without: 'operationMetrics',
    what: 'No metrics by operation: API Gateway has counts and latency for nothing',
    gives: 'latency by operation',
  },
];

interface Line {
  readonly service: string;
  readonly dollars: number;
}

/** A step, how often a month has it, and in how many requests. */
interface Called {
  readonly step: Step;
  readonly times: number;
  /** @default each in its own */
  readonly requests?: number;
}

interface Month {
  /** In this month. */
  readonly jobs: number;
  /** In the ledger, on its average day. */
  readonly kept: number;
}

const cost = (name: PriceName, amount: number): number => (amount * PRICES[name].usd) / PRICES[name].per;

const monthly = ({ steps, ...counts }: CostCounts, { jobs, kept }: Month, design: Design = BUILT): Line[] => {
  const passes = ASSUMED.secondsPerMonth / ASSUMED.passSeconds;
  const listAlls = ASSUMED.secondsPerMonth / ASSUMED.listAllSeconds / (design.listAllQuarterly ? 1 : 16);
  const listings = ((ASSUMED.openHours * 3600) / ASSUMED.listAllSeconds / (design.listAllQuarterly ? 1 : 16)) * jobs;
  const sweeps = ASSUMED.secondsPerMonth / ASSUMED.sweepSeconds;
  const refreshes = ASSUMED.secondsPerMonth / ASSUMED.refreshSeconds;
  const refreshed = refreshes * ASSUMED.refreshedTypes;
  const holdsPerRequest = design.eachHoldAlone ? 1 : Math.max(1, Math.min(ASSUMED.runsPerRequest, jobs / passes));
  const together = jobs / holdsPerRequest;
  const calls: readonly Called[] = [
    { step: steps.check, times: jobs },
    { step: steps.bind, times: jobs, requests: together },
    { step: steps.settle, times: jobs, requests: together },
    { step: steps.extend, times: ASSUMED.extendsPerJob * jobs },
    { step: steps.refusal, times: ASSUMED.refusalsPerJob * jobs },
    { step: steps.heartbeat, times: passes },
    { step: steps.listNone, times: passes + listAlls },
  ];
  const all: readonly Called[] = [
    ...calls,
    { step: steps.sweep, times: sweeps },
    { step: steps.refresh, times: refreshed, requests: refreshes },
  ];
  const sumOf = (of: (step: Step) => number): number => all.reduce((sum, { step, times }) => sum + times * of(step), 0);
  const sumByRequest = (of: (step: Step) => number): number =>
    all.reduce((sum, { step, times, requests = times }) => sum + requests * of(step), 0);

  const dropped =
    (design.specKept ? 0 : unitsOfItem(steps.check, 'HOLD/SPEC') * jobs) +
    (design.unconfirmedCounted ? 0 : unitsOfItem(steps.bind, 'ACCOUNT/ACCOUNT') * jobs) +
    // Bind and settle write the account, once for all holds of a request.
    2 * unitsOfItem(steps.settle, 'ACCOUNT/ACCOUNT') * (jobs - together);
  const writeUnits = sumOf(({ writeUnits, reader }) => writeUnits + reader.writeUnits) - dropped;
  const perHold = steps.listUnbound.readUnits - steps.listNone.readUnits;
  const readUnits = sumOf((step) => step.readUnits + step.reader.readUnits) + perHold * (jobs + listings);
  const auditLimit = (ASSUMED.auditMaxSeconds * 1000) / ASSUMED.auditMsPerReadUnit;
  const audited = design.auditDaily ? kept : jobs / DAYS;
  const auditReadUnits = DAYS * Math.min(auditLimit, counts.auditReadUnitsPerJob * audited);
  const specBytes = design.specKept ? 0 : bytesOfItem(steps.check, 'HOLD/SPEC') + STORED_OVERHEAD_BYTES;
  const storedGb = ((counts.storedBytesPerJob - specBytes) * kept) / GB;

  const requests = calls.reduce((sum, { times, requests: each = times }) => sum + each, 0);
  const records = sumOf(({ reader }) => (design.readerTakesAll ? reader.records : reader.followed));
  const commits = sumByRequest(({ reader }) => (design.readerTakesAll ? reader.commits : Math.min(reader.commits, reader.followed)));
  const batches = Math.max(records / ASSUMED.readerBatch, Math.min(commits, ASSUMED.secondsPerMonth / ASSUMED.readerWindowSeconds));
  const auditSeconds = (auditReadUnits * ASSUMED.auditMsPerReadUnit) / 1000;
  const gbSeconds =
    (ASSUMED.memoryGb * (requests * ASSUMED.requestMs + batches * ASSUMED.readerMs + sweeps * ASSUMED.sweepMs)) / 1000 +
    ASSUMED.auditMemoryGb * auditSeconds;
  const invocations = requests + batches + sweeps + DAYS;
  const refreshGbSeconds = (ASSUMED.memoryGb * refreshed * ASSUMED.refreshMsPerType) / 1000;

  const ofSubmit = (1 + ASSUMED.refusalsPerJob) * jobs;
  const traces = design.traced ? [ofSubmit, requests - ofSubmit, batches, sweeps, refreshes].reduce((sum, n) => sum + tracesOf(n), 0) : 0;
  const logGb =
    (sumByRequest((step) => step.logBytes + step.reader.logBytes) +
      (invocations + refreshes) * ASSUMED.platformLogBytes +
      requests * ASSUMED.accessLogBytes) /
    GB;
  const polls = (ASSUMED.queuePollers * ASSUMED.secondsPerMonth) / ASSUMED.queuePollSeconds;
  const metrics = new Set(all.filter(({ times }) => times > 0).flatMap(({ step }) => [...step.metrics, ...step.reader.metrics]));
  const metricCount = [...metrics].filter((name) => design.operationMetrics || !/ operation=/.test(name)).length;

  return [
    { service: 'DynamoDB: writes', dollars: cost('writeUnit', writeUnits) },
    { service: 'DynamoDB: reads', dollars: cost('readUnit', readUnits) },
    { service: 'DynamoDB: reads of the daily audit', dollars: cost('readUnit', auditReadUnits) },
    { service: 'DynamoDB: storage and recovery', dollars: cost('storedGb', storedGb) + cost('backedUpGb', storedGb) },
    { service: 'HTTP API', dollars: cost('apiRequest', requests) },
    { service: 'Lambda', dollars: cost('invocation', invocations) + cost('gbSecond', gbSeconds) },
    { service: 'Lambda: refresh of prices', dollars: cost('invocation', refreshes) + cost('gbSecond', refreshGbSeconds) },
    {
      service: 'EventBridge',
      dollars: design.holdEvents
        ? cost(
            'event',
            sumOf(({ reader }) => reader.events),
          )
        : 0,
    },
    { service: 'SQS', dollars: cost('queueRequest', polls) },
    { service: 'CloudWatch: logs', dollars: cost('logGb', logGb) + cost('logKeptGb', logGb * ASSUMED.logMonths) },
    { service: 'CloudWatch: custom metrics', dollars: cost('metric', metricCount) },
    { service: 'CloudWatch: alarms, dashboard', dollars: cost('alarm', ASSUMED.alarms) + cost('dashboard', ASSUMED.dashboards) },
    { service: 'X-Ray', dollars: cost('trace', traces) },
    { service: 'Secrets Manager', dollars: cost('secret', ASSUMED.secrets) },
  ];
};

const tracesOf = (requests: number): number => {
  const first = Math.min(requests, ASSUMED.secondsPerMonth);
  return first + ASSUMED.tracedShare * (requests - first);
};

const unitsOfItem = ({ written }: Counts, item: string): number =>
  written.filter((each) => each.item === item).reduce((sum, { writeUnits }) => sum + writeUnits, 0);

const bytesOfItem = ({ written }: Counts, item: string): number =>
  written.filter((each) => each.item === item).reduce((sum, { bytes }) => sum + bytes, 0);

const totalOf = (lines: readonly Line[]): number => lines.reduce((sum, { dollars }) => sum + dollars, 0);
/** The ledger fills in its first month; later it is nearly the same all month. */
const firstMonth = (jobs: number): Month => ({ jobs, kept: jobs / 2 });
const laterMonth = (jobs: number): Month => ({ jobs, kept: LATER_MONTHS * jobs });

/** Jobs a month for which, after a year, we cost what the relative does. */
const breakEven = (counts: CostCounts): number => {
  let [low, high] = [0, 10 * MILLION];
  while (high - low > 1) {
    const middle = (low + high) / 2;
    if (totalOf(monthly(counts, laterMonth(middle))) < RELATIVE_USD_PER_MONTH) low = middle;
    else high = middle;
  }
  return low;
};

const money = (dollars: number): string => `$${dollars.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
const count = (n: number): string => n.toLocaleString('en-US', { maximumFractionDigits: 2 });
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const STEPS: readonly (readonly [StepName, string])[] = [
  ['check', 'check, admitted'],
  ['bind', 'bind'],
  ['extend', 'extend'],
  ['settle', 'settle, final'],
  ['refusal', 'check, refused for money'],
  ['threshold', 'check that crosses a threshold'],
  ['arrayCheck', `check of an array`],
  ['arraySettleOne', 'settle of one of its tasks'],
  ['arraySettleAll', `settle of ${ARRAY_TASKS} of its tasks at once`],
  ['heartbeat', 'heartbeat'],
  ['listNone', 'list of unbound holds, none'],
  ['listUnbound', 'the same, with one'],
  ['listBound', 'list of bound holds, with one'],
  ['sweep', 'sweep, nothing overdue'],
  ['refresh', 'refresh of one price'],
];

/** The row of one step. */
const stepRow = ({ steps }: CostCounts, name: StepName): string[] => {
  const { written, writeUnits, readUnits, logBytes, reader } = steps[name];
  const indexWrites = written.reduce((sum, each) => sum + each.indexWrites, 0);
  const label = STEPS.find(([each]) => each === name)?.[1] ?? name;
  const dollars = cost('writeUnit', writeUnits + reader.writeUnits) + cost('readUnit', readUnits + reader.readUnits);
  return [
    label,
    count(written.length),
    count(indexWrites),
    count(writeUnits),
    count(readUnits),
    `${reader.written.length}, ${count(reader.writeUnits)}`,
    count(reader.events),
    count(reader.records),
    count(logBytes + reader.logBytes),
    money(dollars * MILLION),
  ];
};

const itemRows = ({ steps }: CostCounts): string[][] =>
  (['check', 'bind', 'extend', 'settle'] as const).flatMap((name) =>
    [
      ...steps[name].written.map((each) => ({ ...each, by: name as string })),
      ...steps[name].reader.written.map((each) => ({ ...each, by: `${name}, by the stream's reader` })),
    ].map(({ by, item, bytes, writeUnits, indexWrites }) => [by, item, count(bytes), count(writeUnits), count(indexWrites)]),
  );

/** DynamoDB and the bus, for one task of an array. */
const arrayRows = (counts: CostCounts): string[][] => {
  const { steps } = counts;
  const of = ({ writeUnits, readUnits, reader }: Step): number =>
    cost('writeUnit', writeUnits + reader.writeUnits) +
    cost('readUnit', readUnits + reader.readUnits) +
    cost('event', reader.events) +
    cost('apiRequest', 1);
  const begin = of(steps.arrayCheck) + of(steps.bind);
  return [
    ['a single job', money(MILLION * (of(steps.check) + of(steps.bind) + of(steps.settle)))],
    [`a task of ${ARRAY_TASKS} that end together`, money((MILLION * (begin + of(steps.arraySettleAll))) / ARRAY_TASKS)],
    [`a task of ${ARRAY_TASKS} that end each alone`, money(MILLION * (begin / ARRAY_TASKS + of(steps.arraySettleOne)))],
  ];
};

export const costDocument = (counts: CostCounts): string => {
  const idle = totalOf(monthly(counts, { jobs: 0, kept: 0 }));
  const perMillion = (jobs: number, month: (jobs: number) => Month) =>
    ((totalOf(monthly(counts, month(jobs))) - totalOf(monthly(counts, month(1)))) / (jobs - 1)) * MILLION;
  const months = JOBS_A_MONTH.map((jobs) => {
    const [first, later] = [firstMonth(jobs), laterMonth(jobs)].map((month) => totalOf(monthly(counts, month))) as [number, number];
    const each = jobs === 0 ? ['', ''] : [money(perMillion(jobs, firstMonth)), money(perMillion(jobs, laterMonth))];
    return [
      count(jobs),
      money(first),
      each[0] ?? '',
      money(later),
      each[1] ?? '',
      money(RELATIVE_USD_PER_MONTH),
      `${count(later / RELATIVE_USD_PER_MONTH)}`,
    ];
  });
  const columns = [{ jobs: 0, kept: 0 }, firstMonth(10_000), firstMonth(MILLION), laterMonth(MILLION)].map((month) =>
    monthly(counts, month),
  );
  const services = (columns[0] ?? []).map(({ service }, row) => [service, ...columns.map((lines) => money(lines[row]?.dollars ?? 0))]);
  const saved = CHANGES.map((change) => {
    const design = { ...BUILT, [change.without]: false };
    const savingOf = (month: Month): number => totalOf(monthly(counts, month)) - totalOf(monthly(counts, month, design));
    return { ...change, idle: savingOf({ jobs: 0, kept: 0 }), first: savingOf(firstMonth(MILLION)), later: savingOf(laterMonth(MILLION)) };
  }).sort((a, b) => b.later - a.later);
  const [best, second] = saved;
  if (best === undefined || second === undefined) throw new Error('there are changes to compare');
  const both = { ...BUILT, [best.without]: false, [second.without]: false };
  const withBoth = totalOf(monthly(counts, laterMonth(MILLION), both));
  const smallest = [...saved].sort((a, b) => b.idle - a.idle)[0] ?? best;
  const million = totalOf(monthly(counts, laterMonth(MILLION)));

  return `# What it costs

Made by \`npm run -s cost > docs/cost.md\`: what one job writes, reads, sends and logs is counted at the service's own handlers over DynamoDB Local, each item with its size, and the rest is assumed [below](#what-is-assumed). A test keeps this page equal to the count. List prices of us-east-1, without any free tier, which would cover more than half of an idle month. No bill has been looked at: nothing was run on AWS.

## Dollars a month

A ledger is kept for good, so a month costs more after a year than at first. A million more: dollars for a million jobs at that rate, without what a month of a single job costs. The relative is RDS, Fargate and a load balancer, busy or idle.

${table(['jobs a month', 'first month', 'a million more', `after ${LATER_MONTHS} months`, 'a million more', 'relative', 'of the relative'], months)}

An idle month, with an agent that looks each ${ASSUMED.passSeconds} s, costs ${money(idle)}; the first job adds ${money(totalOf(monthly(counts, firstMonth(1))) - idle)}, which is custom metrics. The relative is dearer up to about ${count(Math.floor(breakEven(counts) / 10_000) * 10_000)} jobs a month, after a year.

**The daily audit outgrows its function.** It reads all of a ledger, ${count(counts.auditReadUnitsPerJob)} units for each job that was ever in it. At ${ASSUMED.auditMsPerReadUnit} ms a unit, which is a guess, what fits its ${ASSUMED.auditMaxSeconds / 60} minutes is a ledger of some ${count(Math.floor(ASSUMED.auditMaxSeconds / counts.auditReadUnitsPerJob / (ASSUMED.auditMsPerReadUnit / 1000) / 10_000) * 10_000)} jobs; beyond, the tables have what it can read in that time, and an alarm tells that it did not end. To its end, each day, it would cost ${money(cost('readUnit', DAYS * counts.auditReadUnitsPerJob * LATER_MONTHS * MILLION))} a month at a million jobs a month after a year.

## Where the money goes

${table(['', 'idle', '10,000 jobs, first month', '1,000,000, first month', `1,000,000, after ${LATER_MONTHS} months`], [...services, ['**all**', ...columns.map((lines) => `**${money(totalOf(lines))}**`)]])}

## What would save most

At a million jobs a month, after ${LATER_MONTHS} months (${money(million)}), it is these two:

1. ${best.what}: ${money(best.later)} a month less, ${money(best.first)} in the first. Its price: ${best.gives}.
2. ${second.what}: ${money(second.later)} a month less, ${money(second.first)} in the first. Its price: ${second.gives}.

Both together: ${money(million - withBoth)} less, as a request that is not made is not traced either; ${money(withBoth)} is left.

Of an idle month most is saved by this: ${smallest.what.charAt(0).toLowerCase()}${smallest.what.slice(1)} (${money(smallest.idle)} of ${money(idle)}). Each change by itself, in dollars a month:

${table(
  ['change', 'its price', 'idle', '1,000,000 jobs, first month', `1,000,000, after ${LATER_MONTHS} months`],
  saved.map(({ what, gives, idle: of, first, later }) => [what, gives, money(of), money(first), money(later)]),
)}

## Counted

Items and index entries that are written, the units they take, and what the reader of the table's stream adds (usage with its mark, events, its mark for a threshold, its log). A read of the partition's model is in each check, though an instance that was asked within the last minute has it in memory.

${table(
  [
    '',
    'items written',
    'index writes',
    'write units',
    'read units',
    'reader: items, units',
    'events',
    'stream records',
    'log bytes',
    'DynamoDB, a million',
  ],
  STEPS.map(([name]) => stepRow(counts, name)),
)}

An audit reads ${count(counts.auditReadUnitsPerJob)} units for each job in the ledger. A job leaves ${count(counts.storedBytesPerJob)} bytes in the table.

Of DynamoDB, bus and HTTP API together, a million of them:

${table(['', 'dollars'], arrayRows(counts))}

Each item of a job's life, named by the beginnings of its two keys:

${table(['by', 'item', 'bytes', 'write units', 'index writes'], itemRows(counts))}

## Prices

Read on 2026-11-25 in stored copies of these pages, most of them not AWS's own; with no page at hand a price is assumed from memory.

${table(
  ['', 'dollars', 'for', 'source'],
  Object.values(PRICES).map(({ what, usd, per, source }) => [what, String(usd), count(per), source]),
)}

## What is assumed

${ASSUMPTIONS.map((each) => `- ${each}`).join('\n')}
- The relative: ${money(RELATIVE_USD_PER_MONTH)} a month at list price, taken over and not counted here; whether its logs and alarms are in it is not known.
`;
};
