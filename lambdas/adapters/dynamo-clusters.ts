// The writes of a cluster's item: who has the name, and since when nobody was heard.
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { type DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { fromAttributes } from '#adapters/dynamo-attributes';
import { decodeCluster } from '#adapters/dynamo-items';
import type { Cluster, Heartbeat } from '#app/ports';
import { clusterKey, ITEM_VERSION } from '#contract/table';
import type { Instant } from '#domain/ledger';

interface Where {
  readonly client: DynamoDBDocumentClient;
  readonly table: string;
}

const IS_FREE = 'attribute_not_exists(pk)';
const IS_THIS_UID = 'cluster_uid = :cluster_uid';
const IS_GONE = 'last_heartbeat < :gone_before';
const IS_OF_NOBODY = 'attribute_not_exists(principals)';
const IS_ONE_OF_THEM = 'contains(principals, :principal)';

/**
 * The first uid and the first principal that use a name claim it, for as long as they are heard: two clusters of one name would
 * settle each other's jobs, but one that was rebuilt has another uid, and often another role, too.
 */
export const beat = async (where: Where, heartbeat: Heartbeat, goneBefore: Instant): Promise<Cluster> => {
  const { principal } = heartbeat;
  const isItsOwn = principal === null ? '' : ` AND (${IS_OF_NOBODY} OR ${IS_ONE_OF_THEM})`;
  const going = await written(where, {
    heartbeat,
    goneBefore,
    condition: `${IS_FREE} OR (${IS_THIS_UID} OR ${IS_GONE})${isItsOwn}`,
    principals: principal === null ? '' : 'if_not_exists(principals, :own)',
  });
  if (going.isWritten || principal === null || going.stored.lastHeartbeat >= goneBefore) return going.stored;
  return (await written(where, { heartbeat, goneBefore, condition: IS_GONE, principals: ':own' })).stored;
};

const written = async (
  { client, table }: Where,
  what: { heartbeat: Heartbeat; goneBefore: Instant; condition: string; principals: string },
): Promise<{ isWritten: boolean; stored: Cluster }> => {
  const { heartbeat, goneBefore, condition, principals } = what;
  const { principal, agentVersion } = heartbeat;
  const set = ['v = :v', 'cluster_uid = :cluster_uid', 'last_heartbeat = :now'];
  if (agentVersion !== null) set.push('agent_version = :agent_version');
  if (principals !== '') set.push(`principals = ${principals}`);
  try {
    const { Attributes } = await client.send(
      new UpdateCommand({
        TableName: table,
        Key: { ...clusterKey(heartbeat.cluster) },
        ConditionExpression: condition,
        UpdateExpression: `SET ${set.join(', ')}${agentVersion === null ? ' REMOVE agent_version' : ''}`,
        ExpressionAttributeValues: {
          ':v': ITEM_VERSION,
          ':cluster_uid': heartbeat.clusterUid,
          ':now': heartbeat.lastHeartbeat,
          ':gone_before': goneBefore,
          ...(agentVersion === null ? {} : { ':agent_version': agentVersion }),
          ...(principal === null ? {} : { ':own': [principal] }),
          ...(condition.includes(':principal') ? { ':principal': principal } : {}),
        },
        ReturnValues: 'ALL_NEW',
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
    return { isWritten: true, stored: decodeCluster(Attributes ?? {}) };
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException && error.Item)
      return { isWritten: false, stored: decodeCluster(fromAttributes(error.Item)) };
    throw error;
  }
};

export const namePrincipals = async (
  { client, table }: Where,
  cluster: string,
  principals: readonly string[],
): Promise<Cluster | undefined> => {
  try {
    const { Attributes } = await client.send(
      new UpdateCommand({
        TableName: table,
        Key: { ...clusterKey(cluster) },
        ConditionExpression: 'attribute_exists(pk)',
        ...(principals.length === 0
          ? { UpdateExpression: 'REMOVE principals' }
          : { UpdateExpression: 'SET principals = :principals', ExpressionAttributeValues: { ':principals': principals } }),
        ReturnValues: 'ALL_NEW',
      }),
    );
    return decodeCluster(Attributes ?? {});
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return undefined;
    throw error;
  }
};
