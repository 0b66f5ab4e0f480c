import { Duration } from 'aws-cdk-lib';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Construct } from 'constructs';
import { PRICE_REFRESH_INTERVAL_MS } from '#contract/settings';
import type { Config } from '#lib/config';
import { letAskForPrices, ServiceFunction } from '#lib/constructs/service-function';

export interface PriceRefreshProps {
  readonly config: Config;
  readonly table: ITableV2;
}

/** Longer than PRICE_REFRESH_BUDGET_MS with one price begun at its end, of which the SDK tries three times. */
const TIMEOUT = Duration.minutes(10);

/** Asks AWS for the price of every type behind every partition, before the kept ones are a day old: no submission waits for one. */
export class PriceRefresh extends Construct {
  readonly function: ServiceFunction;

  constructor(scope: Construct, id: string, { config, table }: PriceRefreshProps) {
    super(scope, id);
    this.function = new ServiceFunction(this, 'Refresh', {
      name: 'price-refresh',
      config,
      table,
      entry: 'lambdas/events/price-refresh-function.ts',
      description: 'the refresh of prices',
      timeout: TIMEOUT,
      environment: { PRICING_REGION: config.pricingRegion },
      retryAttempts: 0, // It tries again itself, and the next one comes before a price is too old.
    });
    letAskForPrices(this.function);
    new Rule(this, 'Rule', {
      description: `asbb ${config.stage}: refresh prices`,
      schedule: Schedule.rate(Duration.millis(PRICE_REFRESH_INTERVAL_MS)),
      targets: [new LambdaFunction(this.function.lambda, { retryAttempts: 0 })],
    });
  }
}
