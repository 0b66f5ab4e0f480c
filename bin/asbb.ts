// The CDK app: `npx cdk deploy --all -c stage=dev`. All work is in lib/.
import { App } from 'aws-cdk-lib';
import { ConfigError, readConfig } from '#lib/config';
import { createStacks } from '#lib/stacks';

const app = new App();
try {
  createStacks(app, readConfig(app.node.getAllContext()), {
    ...(process.env.CDK_DEFAULT_ACCOUNT && { account: process.env.CDK_DEFAULT_ACCOUNT }),
    ...(process.env.CDK_DEFAULT_REGION && { region: process.env.CDK_DEFAULT_REGION }),
  });
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`asbb: ${error.message}\n`);
  process.exit(2);
}
