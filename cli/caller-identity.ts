// Whose credentials these are, as AWS says: sts:GetCallerIdentity, which every caller may ask.
import type { ApiPlace, Environment } from '#cli/context';

const TIMEOUT_MS = 5_000;
const BODY = 'Action=GetCallerIdentity&Version=2011-06-15';
const MAX_ARN_CHARS = 2_048;

/**
 * The ARN of the caller.
 * @throws Error with a sentence if STS does not say
 */
export const callerIdentity = async (
  { region, credentials }: Required<Pick<ApiPlace, 'region' | 'credentials'>>,
  { env, fetch, now }: { readonly env: Environment; readonly fetch: typeof globalThis.fetch; readonly now: () => number },
): Promise<string> => {
  const [{ SignatureV4 }, { Sha256 }] = await Promise.all([import('@smithy/signature-v4'), import('@aws-crypto/sha256-js')]);
  const url = new URL(env.AWS_ENDPOINT_URL_STS || env.AWS_ENDPOINT_URL || `https://sts.${region}.amazonaws.com${suffixOf(region)}`);
  const signer = new SignatureV4({ service: 'sts', region, credentials, sha256: Sha256 });
  const { headers } = await signer.sign(
    {
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      path: '/',
      query: {},
      headers: { host: url.host, 'content-type': 'application/x-www-form-urlencoded' },
      body: BODY,
    },
    { signingDate: new Date(now()) },
  );
  const { host: _, ...sent } = headers; // fetch writes it itself, the same.
  const response = await fetch(new URL('/', url), {
    method: 'POST',
    headers: sent,
    body: BODY,
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  const arn = /<Arn>([^<]+)<\/Arn>/.exec(text)?.[1];
  if (response.status === 200 && arn !== undefined) return arn.slice(0, MAX_ARN_CHARS);
  throw new Error(/<Message>([^<]+)<\/Message>/.exec(text)?.[1] ?? `status ${response.status}`);
};

const suffixOf = (region: string): string => (region.startsWith('cn-') ? '.cn' : '');
