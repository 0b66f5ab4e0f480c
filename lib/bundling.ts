// How a function is bundled, once: for the stacks, and for those who measure what comes out.

export const BUNDLING = {
  target: 'node22',
  mainFields: ['module', 'main'], // Else the SDK is bundled in both of its forms.
  minify: true,
  sourceMap: true,
  sourcesContent: false,
  /**
   * The SDK looks for credentials in the environment first, where a function always has them, and loads these only if there are
   * none. Lambda's own copy of the SDK would serve then.
   */
  externalModules: [
    '@aws-sdk/credential-provider-ini',
    '@aws-sdk/credential-provider-login',
    '@aws-sdk/credential-provider-process',
    '@aws-sdk/credential-provider-sso',
    '@aws-sdk/credential-provider-web-identity',
    '@aws-sdk/token-providers',
  ],
} as const;
