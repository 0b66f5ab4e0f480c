// How a function is bundled, once: for the stacks, and for those who measure what comes out.
import { join } from 'node:path';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { type BuildOptions, buildSync } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');

/**
 * As modules with chunks, which NodejsFunction of CDK cannot: what is imported where it is needed first is read then, and a cold
 * start does not wait until it is parsed.
 */
export const BUNDLING = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  splitting: true,
  outExtension: { '.js': '.mjs' },
  mainFields: ['module', 'main'], // Else the SDK is bundled in both of its forms.
  minify: true,
  sourcemap: true,
  sourcesContent: false,
  external: [
    // The SDK looks for credentials in the environment first, where a function always has them, and loads these only if there are
    // none. Lambda's own copy of the SDK would serve then.
    '@aws-sdk/credential-provider-ini',
    '@aws-sdk/credential-provider-login',
    '@aws-sdk/credential-provider-process',
    '@aws-sdk/credential-provider-sso',
    '@aws-sdk/credential-provider-web-identity',
    '@aws-sdk/token-providers',
    'bowser', // Of the SDK in a browser.
  ],
} as const satisfies BuildOptions;

/** @param entry the handler's file, from the root of the repository. The handler is `index.handler`. */
export const bundledCode = (entry: string): Code =>
  Code.fromAsset(ROOT, {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // CDK asks for an image, which is not used, since esbuild is here; and takes bundles of one command to be the same one.
      image: DockerImage.fromRegistry('none'),
      command: [entry],
      local: {
        tryBundle: (outdir) => {
          buildSync({
            ...BUNDLING,
            mainFields: [...BUNDLING.mainFields],
            external: [...BUNDLING.external],
            entryPoints: { index: entry },
            outdir,
          });
          return true;
        },
      },
    },
  });
