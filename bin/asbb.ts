// The CDK app: `npx cdk deploy --all -c stage=dev`. All work is in lib/.
import { App } from 'aws-cdk-lib';
import { findSecret } from '#adapters/secret-check';
import { type Config, ConfigError, readConfig } from '#lib/config';
import { createStacks } from '#lib/stacks';

/** Of the AWS profile, as CDK found it: both are absent where there are no credentials, as for a synth without a network. */
const { CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: profileRegion } = process.env;

/** A secret that is missing would be found out at the first check, and then only by whoever reads where a price is from. */
const requireSecret = async ({ advisor, region = profileRegion }: Config): Promise<void> => {
  if (advisor === undefined || !account || !region) return;
  const { secretName } = advisor;
  const state = await findSecret({ secretName, region, account });
  if (state === 'missing')
    throw new ConfigError(
      `there is no secret ${secretName} in ${region}: make it with 'aws secretsmanager create-secret --region ${region} --name ${secretName} --secret-string KEY', or leave out asbb:advisor-url and asbb:advisor-secret`,
    );
  if (state !== 'there') process.stderr.write(`asbb: could not see whether secret ${secretName} exists in ${region} (${state.unknown})\n`);
};

const app = new App();
try {
  const config = readConfig(app.node.getAllContext());
  await requireSecret(config);
  createStacks(app, config, { ...(account && { account }), ...(profileRegion && { region: profileRegion }) });
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`asbb: ${error.message}\n`);
  process.exit(2);
}
