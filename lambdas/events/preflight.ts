// Before a deployment changes anything: is this asbb for the table that is there, and is there all that it was told to use?
//
// CloudFormation asks as it would ask for a resource to be made, and stops and rolls back at a "no".
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
import type { CloudFormationCustomResourceEvent } from 'aws-lambda';
import type { Clock, Telemetry } from '#app/ports';
import { otherSchema, SCHEMA_VERSION } from '#contract/table';

export interface Preflight {
  readonly table: string;
  /** Marks a table that has no schema version as ours. @returns the version that it has then; undefined: there is no table yet */
  readonly claimSchema: () => Promise<number | undefined>;
  readonly hasSecret: (name: string) => Promise<boolean>;
  /** Whether a deployment of this stack failed, and it is on its way back. */
  readonly isRollingBack: (stack: string) => Promise<boolean>;
  readonly put: (url: string, body: Uint8Array<ArrayBuffer>) => Promise<void>;
  readonly clock: Clock;
  readonly telemetry: Pick<Telemetry, 'failed'>;
}

/** A role that was just made is not known everywhere yet: what fails is tried again for half a minute. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 3_000;
/** The whole answer may have 4 kB. */
const MAX_REASON_LENGTH = 1_000;

/** Always answers: CloudFormation waits, an hour if nobody says less, for one who does not. */
export const answerDeployment = async (preflight: Preflight, event: CloudFormationCustomResourceEvent): Promise<void> => {
  const problem = await refusalOf(preflight, event);
  if (problem !== undefined)
    preflight.telemetry.failed({ operation: 'preflight', requestId: event.RequestId, error: new Error(`not deployed: ${problem}`) });
  const answer = {
    Status: problem === undefined ? 'SUCCESS' : 'FAILED',
    ...(problem !== undefined && { Reason: problem.slice(0, MAX_REASON_LENGTH) }),
    PhysicalResourceId: event.RequestType === 'Create' ? event.LogicalResourceId : event.PhysicalResourceId,
    StackId: event.StackId,
    RequestId: event.RequestId,
    LogicalResourceId: event.LogicalResourceId,
  };
  await preflight.put(event.ResponseURL, new TextEncoder().encode(JSON.stringify(answer)));
};

/**
 * The way back is never refused. After a "no" to an update, CloudFormation asks again with what was there before; the same answer
 * would leave the stack between the two, and a person would have to free it.
 */
const refusalOf = async (preflight: Preflight, event: CloudFormationCustomResourceEvent): Promise<string | undefined> => {
  if (event.RequestType === 'Delete') return undefined;
  const problem = await problemOf(preflight, event.ResourceProperties);
  if (problem === undefined || event.RequestType === 'Create') return problem;
  const isRollingBack = await preflight.isRollingBack(event.StackId).catch(() => false);
  return isRollingBack ? undefined : problem;
};

/** In a sentence, with its mend. The table first: money before advice. */
const problemOf = async (
  { table, claimSchema, hasSecret, clock }: Preflight,
  { AdvisorSecret: secret }: Readonly<Record<string, unknown>>,
): Promise<string | undefined> => {
  try {
    const schemaVersion = await patiently(clock, claimSchema);
    if (schemaVersion !== undefined && schemaVersion !== SCHEMA_VERSION) return otherSchema({ table, schemaVersion });
  } catch (error) {
    return `the schema version of table ${table} cannot be read: ${wordsOf(error)}`;
  }
  if (typeof secret !== 'string' || secret === '') return undefined;
  try {
    if (await patiently(clock, () => hasSecret(secret))) return undefined;
    return `there is no secret ${secret} here, which asbb:advisor-secret names: make it with aws secretsmanager create-secret --name ${secret} first`;
  } catch (error) {
    return `the secret ${secret}, which asbb:advisor-secret names, cannot be looked for: ${wordsOf(error)}`;
  }
};

const patiently = async <T>(clock: Clock, ask: () => Promise<T>): Promise<T> => {
  const until = clock.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (clock.now() >= until) throw error;
      await clock.sleep(PAUSE_MS);
    }
  }
};

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
