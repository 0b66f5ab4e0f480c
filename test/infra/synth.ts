// Stacks as templates, without a network and, unless asked for, without bundling.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { readConfig } from '#lib/config';
import { createStacks } from '#lib/stacks';

const ROOT = join(import.meta.dirname, '../..');
/** For a hook that synthesises: CDK takes seconds, and on a busy machine a minute. */
export const PATIENCE_MS = 300_000;

export const ACCOUNT = '111122223333';
export const REGION = 'eu-central-1';

/** The feature flags that a deployment has. */
const DEPLOYED = (JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8')) as { context: Record<string, unknown> }).context;

export interface Resource {
  readonly Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: a template has the shape that its service says
  readonly Properties: any;
  readonly DependsOn?: readonly string[];
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

export interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Outputs: Readonly<Record<string, { readonly Value: unknown }>>;
}

export interface Synthesised {
  readonly app: App;
  readonly folder: string;
  readonly data: Template;
  readonly api: Template;
  /** A template as one value: where something stands in it does not matter. */
  readonly all: readonly [string, Resource][];
}

export interface Wanted {
  readonly context?: Readonly<Record<string, unknown>>;
  /** Whether the functions are bundled, as for a deployment. */
  readonly bundle?: true;
  /** Whether cdk-nag looks too. Its report is in the folder. */
  readonly nag?: true;
}

/** @param wanted context beside the stage, which is `test` if it is not given */
export const synthesised = ({ context, bundle, nag }: Wanted = {}): Synthesised => {
  const folder = mkdtempSync(join(tmpdir(), 'asbb-synth-'));
  const given = { stage: 'test', ...context };
  const app = new App({
    outdir: folder,
    analyticsReporting: false,
    context: { ...DEPLOYED, ...given, 'aws:cdk:disable-stack-trace': true, ...(bundle ? {} : { 'aws:cdk:bundling-stacks': [] }) },
  });
  if (nag) Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  createStacks(app, readConfig(app.node.getAllContext()), { account: ACCOUNT, region: REGION });
  app.synth();
  const template = (which: string): Template =>
    JSON.parse(readFileSync(join(folder, `Asbb-${given.stage}-${which}.template.json`), 'utf8')) as Template;
  const [data, api] = [template('Data'), template('Api')];
  return { app, folder, data, api, all: [...Object.entries(data.Resources), ...Object.entries(api.Resources)] };
};

export const ofType = ({ all }: Synthesised, type: string): [string, Resource][] => all.filter(([, { Type }]) => Type === type);
