import { type App, type Environment, Tags } from 'aws-cdk-lib';
import { ApiStack } from '#lib/api-stack';
import { type Config, stackNames } from '#lib/config';
import { DataStack } from '#lib/data-stack';

/**
 * Both stacks of a stage, in the app.
 * @param profile account and region of the AWS profile, as far as known; the configured region comes first
 */
export const createStacks = (app: App, config: Config, profile: Environment): { data: DataStack; api: ApiStack } => {
  const env = { ...profile, ...(config.region === undefined ? {} : { region: config.region }) };
  const names = stackNames(config);
  const data = new DataStack(app, names.data, { config, env });
  const api = new ApiStack(app, names.api, { config, env, table: data.table, preflight: data.preflight });
  Tags.of(app).add('asbb-stage', config.stage); // For those who look up what it costs.
  return { data, api };
};
