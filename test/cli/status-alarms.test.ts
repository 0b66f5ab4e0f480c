// What `asbb status` makes of the alarms of a deployment.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readAlarms } from '#adapters/alarms';
import { checkAlarms } from '#cli/commands/status-alarms';
import type { Alarm } from '#cli/context';
import { aContext, NOON } from '#test/cli/machine';

const anAlarm = (name: string, state: string): Alarm => ({
  name: `asbb-prod-${name}`,
  state,
  since: NOON - 12 * 60_000,
  description: `what ${name} means.`,
});

const linesOf = async (alarms: readonly Alarm[] | Error): Promise<string[]> => {
  const readThem = async ({ prefix }: { prefix: string }) => {
    expect(prefix).toBe('asbb-prod-');
    if (alarms instanceof Error) throw alarms;
    return alarms;
  };
  const { context } = aContext({}, {}, { readAlarms: readThem });
  const checks = await checkAlarms(context, 'asbb-prod');
  return checks.map(({ state, check, subject, says, mend }) =>
    [state, check, subject, says, mend].filter((each) => each !== null).join(' | '),
  );
};

describe('the alarms of a deployment', () => {
  it('are not asked for where the configuration names none', async () => {
    expect(await checkAlarms(aContext().context, undefined)).toEqual([]);
  });

  it('say that the sweep runs and that nothing rings', async () => {
    expect(await linesOf([anAlarm('sweep-not-running', 'OK'), anAlarm('throttles', 'INSUFFICIENT_DATA')])).toEqual([
      'ok | sweep | has been running for 12 min',
      'ok | alarms | 2, 0 ringing',
    ]);
  });

  it('fail where one rings, with its own words', async () => {
    expect(await linesOf([anAlarm('sweep-not-running', 'ALARM'), anAlarm('stale-agent', 'OK')])).toEqual([
      'ok | alarms | 2, 1 ringing',
      'fail | alarm | sweep-not-running | has been ringing for 12 min | what sweep-not-running means.',
    ]);
  });

  it('know nothing of the sweep right after a deployment', async () => {
    expect((await linesOf([anAlarm('sweep-not-running', 'INSUFFICIENT_DATA')]))[0]).toBe(
      'warn | sweep | nothing is known of it yet | ask again in ten minutes, unless it was deployed just now',
    );
  });

  it.each([
    ['there are none', [], 'there are none whose name begins with asbb-prod- | is agent.event_bus the bus'],
    [
      'nobody may look',
      new Error('not authorized'),
      'they cannot be seen: not authorized | let these credentials do cloudwatch:DescribeAlarms',
    ],
  ])('are no fault of the service if %s', async (_, alarms, words) => {
    const lines = await linesOf(alarms);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`warn | alarms | ${words}`);
  });
});

describe('readAlarms', () => {
  it('gives name, state and words of each', async () => {
    const server = createServer((request, response) => {
      request.resume().on('end', () => {
        const alarm = { AlarmName: 'asbb-prod-throttles', StateValue: 'OK', StateUpdatedTimestamp: NOON / 1000, AlarmDescription: 'words' };
        response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify({ MetricAlarms: [alarm] }));
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    process.env.AWS_ENDPOINT_URL_CLOUDWATCH = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    onTestFinished(() => {
      delete process.env.AWS_ENDPOINT_URL_CLOUDWATCH;
    });
    const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
    expect(await readAlarms({ prefix: 'asbb-prod-', region: 'us-east-1', credentials })).toEqual([
      { name: 'asbb-prod-throttles', state: 'OK', since: NOON, description: 'words' },
    ]);
  });
});
