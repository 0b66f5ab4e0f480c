// What is written for CloudWatch: each line that telemetry prints, read as EMF.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createPowertoolsTelemetry } from '#adapters/powertools';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import { type BudgetStore, type Measurement, StoreContended, type Telemetry } from '#app/ports';
import * as names from '#contract/metrics';
import { sweep } from '#events/expire';
import { SETTINGS } from '#test/http/api';
import { createClock, createWorld, place, tenDollars } from '#test/money/world';
import { NO_PRICING } from '#test/support/world';

const NOON = Date.UTC(2026, 10, 23, 12);

describe('telemetry', () => {
  let lines: string[];
  let telemetry: Telemetry;
  beforeEach(() => {
    lines = [];
    // Powertools has a console of its own, so that nobody's patches of the usual one change what CloudWatch reads.
    for (const stream of [process.stdout, process.stderr])
      vi.spyOn(stream, 'write').mockImplementation((text) => {
        lines.push(
          ...String(text)
            .split('\n')
            .filter((line) => line.startsWith('{')),
        );
        return true;
      });
    telemetry = createPowertoolsTelemetry({ now: () => NOON + 12 }, 'asbb-test');
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  interface Emf {
    readonly _aws?: {
      readonly CloudWatchMetrics: readonly { Namespace: string; Dimensions: string[][]; Metrics: { Name: string; Unit: string }[] }[];
    };
    readonly [name: string]: unknown;
  }
  /** `Name{dimension=value} value unit` of every metric written. */
  const written = () =>
    lines
      .map((line) => JSON.parse(line) as Emf)
      .flatMap(({ _aws, ...values }) =>
        (_aws?.CloudWatchMetrics ?? []).flatMap(({ Namespace, Dimensions, Metrics }) => {
          expect(Namespace).toBe(names.METRIC_NAMESPACE);
          expect([Dimensions[0]?.[0], values.service]).toEqual([names.DIMENSION_SERVICE, 'asbb-test']);
          const dimensions = (Dimensions[0] ?? []).slice(1).map((name) => `${name}=${values[name]}`);
          return Metrics.map(({ Name, Unit }) => `${Name}{${dimensions.join()}} ${values[Name]} ${Unit}`);
        }),
      );

  const answer = { operation: 'checkBudget', status: 200, code: null, arrivedAt: NOON, requestId: 'r' };
  const latency = 'Latency{operation=checkBudget} 12 Milliseconds';

  it.each<[string, Parameters<Telemetry['answered']>[0], string[]]>([
    [
      'a job that is admitted',
      { ...answer, verdict: { code: null, priceSource: 'catalogue' } },
      ['Answered{operation=checkBudget} 1 Count', latency, 'JobsAdmitted{} 1 Count', 'JobsPriced{source=catalogue} 1 Count'],
    ],
    [
      'a job that is refused for its budget',
      { ...answer, verdict: { code: 'insufficient_budget', priceSource: 'flat-rate' } },
      [
        'Answered{operation=checkBudget} 1 Count',
        latency,
        'JobsRefused{code=insufficient_budget} 1 Count',
        'JobsPriced{source=flat-rate} 1 Count',
      ],
    ],
    [
      'a job that is refused with an error',
      { ...answer, status: 422, code: 'no_price' },
      ['Refused{operation=checkBudget} 1 Count', latency, 'JobsRefused{code=no_price} 1 Count'],
    ],
    [
      'a quote, which lets no job in',
      { ...answer, operation: 'quoteBudget', verdict: { code: 'insufficient_budget', priceSource: 'catalogue' } },
      ['Answered{operation=quoteBudget} 1 Count', 'Latency{operation=quoteBudget} 12 Milliseconds'],
    ],
    [
      'anything else',
      { ...answer, operation: 'showHold', status: 404, code: 'hold_not_found' },
      ['Refused{operation=showHold} 1 Count', 'Latency{operation=showHold} 12 Milliseconds'],
    ],
  ])('of %s', (_, request, metrics) => {
    telemetry.answered(request);
    expect(written()).toEqual(metrics);
    const { code } = JSON.parse(lines[0] ?? '{}');
    expect(code ?? null).toBe(request.verdict?.code ?? request.code);
  });

  it('of what failed', () => {
    telemetry.failed({ operation: 'stream', requestId: 'r', error: new Error('no way') });
    telemetry.failed({ operation: 'stream', requestId: 'r', error: 'not even an error' });
    expect(written()).toEqual(['Failed{operation=stream} 1 Count', 'Failed{operation=stream} 1 Count']);
    expect(lines.join()).toContain('no way');
  });

  it('of what is measured', () => {
    telemetry.measured([
      { name: names.METRIC_HOLDS_PLACED, value: 7 },
      { name: names.METRIC_OLDEST_OVERDUE_AGE, value: 61, unit: 'seconds' },
      { name: names.METRIC_STORE_RETRIES, value: 1, dimension: { name: names.DIMENSION_KIND, value: 'contended' } },
    ]);
    expect(written()).toEqual(['HoldsPlaced{} 7 Count', 'OldestOverdueHoldAge{} 61 Seconds', 'StoreRetries{kind=contended} 1 Count']);
  });
});

describe('the services', () => {
  const servicesOn = (store: BudgetStore, measured: Measurement[]) =>
    createServices({
      store,
      clock: systemClock,
      ids: createIds(),
      settings: SETTINGS,
      pricing: NO_PRICING,
      telemetry: { answered: () => undefined, failed: () => undefined, measured: (each) => void measured.push(...each) },
    });

  it('count each attempt that met another writer', async () => {
    const measured: Measurement[] = [];
    let busy = 2;
    const table = createMemoryBudgets();
    const store: BudgetStore = {
      ...table,
      readAccount: async (account) => {
        if (busy-- > 0) throw new StoreContended('busy');
        return table.readAccount(account);
      },
    };
    await servicesOn(store, measured)
      .world(Date.now() + 10_000)
      .store.readAccount('physics');
    const one = { name: 'StoreRetries', value: 1, dimension: { name: 'kind', value: 'contended' } };
    expect(measured).toEqual([one, one]);
  });
});

describe('the sweep', () => {
  it('tells that it ran, how long the oldest hold was overdue, and whose agent is not heard', async () => {
    const clock = createClock();
    const store = createMemoryBudgets();
    const world = createWorld({ store, clock });
    await tenDollars(world);
    await place(world);
    await store.beat({ cluster: 'local', clusterUid: 'u', agentVersion: null, lastHeartbeat: clock.now(), principal: null }, 0);
    const measured: Measurement[] = [];
    const telemetry = {
      answered: () => undefined,
      failed: () => undefined,
      measured: (each: readonly Measurement[]) => void measured.push(...each),
    };
    const services = { world: () => world, telemetry };
    await sweep(services, clock);
    clock.advance(25 * 3_600_000 + 61_000);
    await sweep(services, clock);
    await sweep(services, clock);
    const told = measured.map(({ name, value, unit }) => `${name} ${value}${unit === undefined ? '' : ` ${unit}`}`);
    expect(told).toEqual([
      ...['Sweeps 1', 'OldestOverdueHoldAge 0 seconds', 'StaleAgents 0'],
      ...['Sweeps 1', 'OldestOverdueHoldAge 61 seconds', 'StaleAgents 1'],
      ...['Sweeps 1', 'OldestOverdueHoldAge 0 seconds', 'StaleAgents 1'],
    ]);
  });
});

it('has no two metrics of one name', () => {
  const metrics = Object.entries(names).filter(([constant]) => constant.startsWith('METRIC_'));
  expect(new Set(metrics.map(([, name]) => name)).size).toBe(metrics.length);
});
