// Everything that may be taken down and put up again: API, functions, bus, queues, alarms.
import { CfnOutput, Fn, Stack, type StackProps } from 'aws-cdk-lib';
import { type ITableV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { EventBus } from 'aws-cdk-lib/aws-events';
import type { Construct } from 'constructs';
import { type Config, DISPOSABLE_STAGE, type RestoredTable } from '#lib/config';
import { Alarms } from '#lib/constructs/alarms';
import { BudgetApi } from '#lib/constructs/budget-api';
import { DailyAudit } from '#lib/constructs/daily-audit';
import { Dashboard } from '#lib/constructs/dashboard';
import { HoldExpiry } from '#lib/constructs/hold-expiry';
import { JobEvents } from '#lib/constructs/job-events';
import { Notices } from '#lib/constructs/notices';
import { CallerPolicies } from '#lib/constructs/policies';
import { Clearance, type Preflight } from '#lib/constructs/preflight';
import { PriceRefresh } from '#lib/constructs/price-refresh';
import { StreamEvents } from '#lib/constructs/stream-events';
import { measuredBy, type Watched } from '#lib/constructs/watched';

export interface ApiStackProps extends StackProps {
  readonly config: Config;
  readonly table: TableV2;
  readonly preflight: Preflight;
}

export class ApiStack extends Stack {
  constructor(scope: Construct, id: string, { config, table: ownTable, preflight, ...props }: ApiStackProps) {
    const { stage } = config;
    super(scope, id, {
      description: `asbb ${stage}: the budget API and its events`,
      terminationProtection: stage !== DISPOSABLE_STAGE,
      ...props,
    });

    const table = (config.restored === undefined ? ownTable : this.restored(config.restored)) as ITableV2; // Its types differ from its own interface's.
    const bus = new EventBus(this, 'Bus', { eventBusName: `asbb-${stage}`, description: `asbb ${stage}: ended jobs in, events out` });
    const api = new BudgetApi(this, 'Budget', { config, table });
    const expiry = new HoldExpiry(this, 'HoldExpiry', { config, table });
    const jobs = new JobEvents(this, 'JobEvents', { config, table, bus });
    const { topic } = new Notices(this, 'Notices', { config });
    const stream = new StreamEvents(this, 'StreamEvents', { config, table, bus, topic });
    const audit = new DailyAudit(this, 'DailyAudit', { config, table });
    const prices = new PriceRefresh(this, 'PriceRefresh', { config, table });
    const { policies } = new CallerPolicies(this, 'Policies', { stage, api, bus });

    const functions = {
      ...api.functions,
      expire: expiry.function,
      'job-ended': jobs.function,
      stream: stream.function,
      audit: audit.function,
      'price-refresh': prices.function,
    };
    const watched: Watched = {
      api: api.api,
      functions: Object.fromEntries(Object.entries(functions).map(([name, { lambda }]) => [name, lambda])) as Watched['functions'],
      deadLetters: { 'job-ended': jobs.deadLetters, stream: stream.deadLetters },
      measured: measuredBy(config),
    };
    const alarms = new Alarms(this, 'Alarms', { ...watched, config, topic });
    const dashboard = new Dashboard(this, 'Dashboard', { ...watched, config, alarms: alarms.all });

    const parts = [...this.node.children];
    new Clearance(this, 'Clearance', { config, preflight: preflight.function.lambda }).before(...parts);

    // Whoever configures a client reads these: their names are public.
    const outputs = {
      ApiEndpoint: api.endpoint,
      TableName: table.tableName,
      PluginPolicyArn: policies.plugin.managedPolicyArn,
      AgentPolicyArn: policies.agent.managedPolicyArn,
      AdminPolicyArn: policies.admin.managedPolicyArn,
      ViewerPolicyArn: policies.viewer.managedPolicyArn,
      EventBusName: bus.eventBusName,
      AlarmTopicArn: topic.topicArn,
      DashboardUrl: dashboard.url,
      LogGroups: Fn.join(',', [...Object.values(functions).map(({ logGroup }) => logGroup.logGroupName), api.accessLog.logGroupName]),
    };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }

  /** By name only: whoever restored it has made it, and no stack may take it away. */
  private restored({ tableName, streamArn }: RestoredTable): ITableV2 {
    const tableArn = this.formatArn({ service: 'dynamodb', resource: 'table', resourceName: tableName });
    return TableV2.fromTableAttributes(this, 'Restored', { tableArn, tableStreamArn: streamArn });
  }
}
