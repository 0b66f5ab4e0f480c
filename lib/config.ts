// What a deployment may be told, by CDK's context: `-c asbb:alarm-email=ops@example.org`, or `context` in cdk.json. docs/deploy.md
// has the same table in words. Everything is checked before anything is synthesised, so a typo never deploys a default.
import { DEFAULT_HOLD_PERCENTAGE, DEFAULT_RECONCILIATION_TIMEOUT_SECONDS, PRICING_REGIONS, SWEEP_INTERVAL_MS } from '#contract/settings';

/** Named by the contract, and asked for each time: it says whose money is touched. */
export const STAGE_KEY = 'stage';
/** All other settings are ours by their prefix; CDK has keys of its own. */
export const PREFIX = 'asbb:';

/** The stage that may be destroyed, its table with it. */
export const DISPOSABLE_STAGE = 'dev';

export interface Config {
  readonly stage: string;
  /** @default as the AWS profile says */
  readonly region?: string;
  /** Who gets a mail for each alarm. */
  readonly alarmEmail?: string;
  readonly logRetentionDays: number;
  readonly sweepIntervalMinutes: number;
  /** Instances of the submit function that are kept started. They are billed for every hour. */
  readonly warmInstances: number;
  readonly holdPercentage: string;
  readonly reconciliationTimeoutSeconds: number;
  readonly advisor?: { readonly url: string; readonly secretName: string };
  /** Where EC2 prices are asked for. */
  readonly pricingRegion: string;
  /** Served instead of the stage's own table, which stays as it is. */
  readonly restored?: RestoredTable;
}

/** A table that somebody restored to a point in time. */
export interface RestoredTable {
  readonly tableName: string;
  readonly streamArn: string;
}

/** How the stacks of a stage are called. */
export const stackNames = ({ stage }: Pick<Config, 'stage'>): { readonly data: string; readonly api: string } => ({
  data: `Asbb-${stage}-Data`,
  api: `Asbb-${stage}-Api`,
});

/** What is wrong with the context, and what to write instead. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** One setting: what it takes, and in which words that is said to whoever got it wrong. */
interface Setting<T> {
  readonly read: (text: string) => T | undefined;
  readonly mend: string;
  readonly otherwise: T;
}

const LOG_RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
const MAX_SWEEP_INTERVAL_MINUTES = 60;
const MAX_WARM_INSTANCES = 100;
/** Much more is a percentage that was meant as one: 120 for 1.2. */
const MAX_HOLD_PERCENTAGE = 10;
const MAX_RECONCILIATION_TIMEOUT_HOURS = 30 * 24;

const matching =
  (pattern: RegExp) =>
  (text: string): string | undefined =>
    pattern.test(text) ? text : undefined;

const wholeNumber =
  ({ from, to }: { from: number; to: number }) =>
  (text: string): number | undefined =>
    /^\d{1,6}$/.test(text) && Number(text) >= from && Number(text) <= to ? Number(text) : undefined;

const factor = (text: string): string | undefined =>
  /^\d{1,2}(\.\d{1,6})?$/.test(text) && Number(text) > 0 && Number(text) <= MAX_HOLD_PERCENTAGE ? text : undefined;

const httpsUrl = (text: string): string | undefined => (URL.canParse(text) && new URL(text).protocol === 'https:' ? text : undefined);

/** The ARN of a stream names its table as well, so one setting says both. */
const restoredTable = (streamArn: string): RestoredTable | undefined => {
  const [, tableName] = /^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table\/([\w.-]{3,255})\/stream\/[\d:T.-]+$/.exec(streamArn) ?? [];
  return tableName === undefined ? undefined : { tableName, streamArn };
};

const setting = <T>(read: Setting<T>['read'], otherwise: T, mend: string): Setting<T> => ({ read, otherwise, mend });
const optional = (read: Setting<string>['read'], mend: string): Setting<string | undefined> => ({ read, otherwise: undefined, mend });

const SETTINGS = {
  region: optional(matching(/^[a-z]{2}(-[a-z]+)+-\d$/), 'write an AWS region, like eu-central-1'),
  'alarm-email': optional(matching(/^[^\s@,]+@[^\s@,]+\.[^\s@,]+$/), 'write one e-mail address'),
  'log-retention-days': setting<number>(
    (text) => LOG_RETENTION_DAYS.find((days) => String(days) === text),
    90,
    `CloudWatch keeps logs for one of ${LOG_RETENTION_DAYS.join(', ')} days`,
  ),
  'sweep-interval-minutes': setting<number>(
    wholeNumber({ from: 1, to: MAX_SWEEP_INTERVAL_MINUTES }),
    SWEEP_INTERVAL_MS / 60_000,
    `write whole minutes, 1 to ${MAX_SWEEP_INTERVAL_MINUTES}`,
  ),
  'warm-instances': setting<number>(wholeNumber({ from: 0, to: MAX_WARM_INSTANCES }), 0, `write 0 to ${MAX_WARM_INSTANCES}`),
  'hold-percentage': setting<string>(
    factor,
    DEFAULT_HOLD_PERCENTAGE,
    `write a factor above 0 and at most ${MAX_HOLD_PERCENTAGE}: 1.2 holds 20 % more than the estimate`,
  ),
  'reconciliation-timeout-hours': setting<number>(
    wholeNumber({ from: 1, to: MAX_RECONCILIATION_TIMEOUT_HOURS }),
    DEFAULT_RECONCILIATION_TIMEOUT_SECONDS / 3600,
    `write whole hours, 1 to ${MAX_RECONCILIATION_TIMEOUT_HOURS}`,
  ),
  'advisor-url': optional(httpsUrl, "write the advisor's address, beginning with https://"),
  'advisor-secret': optional(
    matching(/^[\w/+=.@-]{1,512}$/),
    "write the name of the secret in Secrets Manager that holds the advisor's key",
  ),
  'pricing-region': setting<string>(
    (text) => PRICING_REGIONS.find((region) => region === text),
    PRICING_REGIONS[0],
    `AWS answers for prices in ${PRICING_REGIONS.join(', ')} only`,
  ),
  'restored-stream': setting<RestoredTable | undefined>(
    restoredTable,
    undefined,
    'write the LatestStreamArn of the restored table, as aws dynamodb describe-table tells it',
  ),
} as const satisfies Record<string, Setting<unknown>>;

type Name = keyof typeof SETTINGS;
type ValueOf<N extends Name> = (typeof SETTINGS)[N] extends Setting<infer T> ? T : never;

/** For those who write the table of settings, or check it. */
export const SETTING_KEYS: readonly string[] = Object.keys(SETTINGS).map((name) => `${PREFIX}${name}`);

const STAGE = /^[a-z][a-z0-9-]{0,15}$/;

/**
 * @param context of the CDK app, CDK's own keys included
 * @throws ConfigError naming the key and the mend
 */
export const readConfig = (context: Readonly<Record<string, unknown>>): Config => {
  refuseUnknown(context);
  const secretName = settingOf(context, 'advisor-secret');
  const url = settingOf(context, 'advisor-url');
  return {
    stage: stageIn(context),
    ...defined({
      region: settingOf(context, 'region'),
      alarmEmail: settingOf(context, 'alarm-email'),
      advisor: advisorOf(url, { secretName }),
      restored: restoredIn(context),
    }),
    logRetentionDays: settingOf(context, 'log-retention-days'),
    sweepIntervalMinutes: settingOf(context, 'sweep-interval-minutes'),
    warmInstances: settingOf(context, 'warm-instances'),
    holdPercentage: settingOf(context, 'hold-percentage'),
    reconciliationTimeoutSeconds: settingOf(context, 'reconciliation-timeout-hours') * 3600,
    pricingRegion: settingOf(context, 'pricing-region'),
  };
};

/** CDK's own keys: what it keeps for itself, its feature flags, and look-ups that it remembers. */
const OF_CDK = /^(@aws-cdk[\w-]*\/|aws:|aws-cdk:|cdk-|tree-metadata$|cli-telemetry$|acknowledged-issue-numbers$|[a-z-]+:account=)/;

const refuseUnknown = (context: Readonly<Record<string, unknown>>): void => {
  const known = new Set([STAGE_KEY, ...SETTING_KEYS]);
  const unknown = Object.keys(context).find((key) => !known.has(key) && !OF_CDK.test(key));
  if (unknown === undefined) return;
  const mend = known.has(`${PREFIX}${unknown}`) ? `write ${PREFIX}${unknown}` : `the keys are ${[...known].join(', ')}`;
  throw new ConfigError(`context key ${unknown} is unknown: ${mend}`);
};

const stageIn = (context: Readonly<Record<string, unknown>>): string => {
  const stage = context[STAGE_KEY];
  if (stage === undefined)
    throw new ConfigError(`context key ${STAGE_KEY} is missing: say what to deploy, with -c stage=dev or -c stage=prod`);
  if (typeof stage === 'string' && STAGE.test(stage)) return stage;
  throw new ConfigError(
    `context key ${STAGE_KEY} is ${JSON.stringify(stage)}: write a name of at most 16 lower-case letters, digits and hyphens that begins with a letter`,
  );
};

const settingOf = <N extends Name>(context: Readonly<Record<string, unknown>>, name: N): ValueOf<N> => {
  const { read, otherwise, mend }: Setting<unknown> = SETTINGS[name];
  const given = context[`${PREFIX}${name}`];
  if (given === undefined) return otherwise as ValueOf<N>;
  const value = typeof given === 'string' || typeof given === 'number' ? read(String(given)) : undefined;
  if (value === undefined) throw new ConfigError(`context key ${PREFIX}${name} is ${JSON.stringify(given)}: ${mend}`);
  return value as ValueOf<N>;
};

/** Functions and their table are in one region. Where `asbb:region` is not said, it is known only when the stack is deployed. */
const restoredIn = (context: Readonly<Record<string, unknown>>): RestoredTable | undefined => {
  const region = settingOf(context, 'region');
  const restored = settingOf(context, 'restored-stream');
  const other = restored?.streamArn.split(':')[3];
  if (region !== undefined && other !== undefined && other !== region)
    throw new ConfigError(
      `context key ${PREFIX}restored-stream is of ${other}, and ${PREFIX}region is ${region}: restore the table in that region`,
    );
  return restored;
};

/** The key is never a setting itself: context ends up in templates, and those are read by many. */
const advisorOf = (url: string | undefined, { secretName }: { secretName: string | undefined }): Config['advisor'] => {
  if (url === undefined && secretName === undefined) return undefined;
  if (secretName === undefined)
    throw new ConfigError(`context key ${PREFIX}advisor-secret is missing beside ${PREFIX}advisor-url: ${SETTINGS['advisor-secret'].mend}`);
  if (url === undefined)
    throw new ConfigError(`context key ${PREFIX}advisor-url is missing beside ${PREFIX}advisor-secret: ${SETTINGS['advisor-url'].mend}`);
  return { url, secretName };
};

const defined = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
