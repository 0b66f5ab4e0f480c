// What CloudWatch says of a deployment, for `asbb status`.
import { ageText, type Check, well, worthALook, wrong } from '#cli/checks';
import type { Alarm, Context } from '#cli/context';

/** The end of the name of the alarm that rings when no sweep ends: lib/constructs/alarms.ts. */
const SWEEP = '-sweep-not-running';

/**
 * @param deployment as its bus and its alarms are called, like `asbb-prod`. Undefined: the configuration names none, as for
 *   `asbb local`, and nothing is asked
 */
export const checkAlarms = async (context: Context, deployment: string | undefined): Promise<Check[]> => {
  if (deployment === undefined) return [];
  const prefix = `${deployment}-`;
  try {
    return checksOf(await context.alarms(prefix), { prefix, now: context.now() });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const mend = 'let these credentials do cloudwatch:DescribeAlarms, or ask with those of somebody who may (--profile)';
    return [worthALook({ check: 'alarms', says: `they cannot be seen: ${error.message}`, mend })];
  }
};

const checksOf = (alarms: readonly Alarm[], { prefix, now }: { prefix: string; now: number }): Check[] => {
  if (alarms.length === 0) {
    const mend = 'is agent.event_bus the bus of this deployment, and the region its region?';
    return [worthALook({ check: 'alarms', says: `there are none whose name begins with ${prefix}`, mend })];
  }
  const ringing = alarms.filter(({ state }) => state === 'ALARM');
  const sweep = alarms.find(({ name }) => name.endsWith(SWEEP));
  return [
    ...(sweep === undefined ? [] : checkSweep(sweep, now)),
    well({ check: 'alarms', says: `${alarms.length}, ${ringing.length} ringing` }),
    ...ringing.map(({ name, since, description }) =>
      wrong({
        check: 'alarm',
        subject: name.slice(prefix.length),
        says: `has been ringing for ${ageText(now - since)}`,
        mend: description,
      }),
    ),
  ];
};

/** That it does not run is among those that ring. */
const checkSweep = ({ state, since }: Alarm, now: number): Check[] => {
  if (state === 'ALARM') return [];
  if (state === 'OK') return [well({ check: 'sweep', says: `has been running for ${ageText(now - since)}` })];
  return [
    worthALook({ check: 'sweep', says: 'nothing is known of it yet', mend: 'ask again in ten minutes, unless it was deployed just now' }),
  ];
};
