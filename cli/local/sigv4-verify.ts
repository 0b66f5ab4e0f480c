// AWS Signature Version 4, from the server's side: sign the request again as its signer should have, and compare.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHash, timingSafeEqual } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { ALGORITHM_IDENTIFIER, createScope, getCanonicalHeaders, SignatureV4 } from '@smithy/signature-v4';

const MAX_CLOCK_SKEW_MS = 5 * 60_000;
const MAX_AUTHORIZATION_CHARS = 4096;
const DENIED = 403;

export interface VerifierOptions {
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly service: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface RequestToVerify {
  readonly method: string;
  /** As sent, percent-encoding kept. */
  readonly rawPath: string;
  /** As sent, without the question mark. */
  readonly rawQueryString: string;
  /** Names in lower case, duplicates joined by a comma. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

export type Verification =
  | { readonly ok: true; readonly accessKeyId: string }
  | { readonly ok: false; readonly status: typeof DENIED; readonly message: string };

export type Verifier = (request: RequestToVerify) => Promise<Verification>;

/**
 * A check of the Authorization header against one pair of keys: any region, the one service, at most five minutes of clock
 * skew, and a body that is the signed one. SigV4 has no nonce: the same request again within that time is valid.
 */
export const createVerifier = ({ credentials, service, now }: VerifierOptions): Verifier => {
  const signer = new Signer({ credentials, service, region: 'any', sha256: Sha256 });

  return async (request) => {
    try {
      const claim = readClaim(request);
      checkScope(claim, { accessKeyId: credentials.accessKeyId, service });
      checkDate(claim, now());
      checkHeaders(claim, request);
      const expected = await signer.signatureOf(request, claim);
      if (!timingSafeEqual(Buffer.from(expected), Buffer.from(claim.signature))) {
        throw new Denial('the signature does not match: check the secret key, and that nothing changes the request on its way');
      }
      return { ok: true, accessKeyId: claim.accessKeyId };
    } catch (error) {
      if (error instanceof Denial) return { ok: false, status: DENIED, message: error.message };
      throw error;
    }
  };
};

/** Why a request is refused, in words for its sender; it never holds what the signature should have been. */
class Denial extends Error {}

/** What the request says about its own signature. */
interface Claim {
  readonly accessKeyId: string;
  /** YYYYMMDD of the scope. */
  readonly day: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly signedAt: Date;
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 +Credential=([^/, ]+)\/(\d{8})\/([A-Za-z0-9-]+)\/([A-Za-z0-9-]+)\/aws4_request *, *SignedHeaders=([^, ]+) *, *Signature=([0-9a-f]{64})$/;

const readClaim = ({ headers, rawQueryString }: RequestToVerify): Claim => {
  if (/(^|&)x-amz-(signature|algorithm|credential)=/i.test(rawQueryString)) {
    throw new Denial('presigned URLs are not accepted: sign the request in its Authorization header');
  }
  const authorization = headers.authorization;
  if (authorization === undefined) throw new Denial('the request is not signed: sign it with AWS Signature Version 4');
  const parts = authorization.length > MAX_AUTHORIZATION_CHARS ? null : AUTHORIZATION.exec(authorization);
  if (parts === null) {
    throw new Denial('the Authorization header cannot be read: it must be AWS4-HMAC-SHA256 with Credential, SignedHeaders and Signature');
  }
  const [, accessKeyId = '', day = '', region = '', service = '', signed = '', signature = ''] = parts;
  return { accessKeyId, day, region, service, signedHeaders: signed.split(';'), signature, signedAt: readDate(headers) };
};

const readDate = (headers: RequestToVerify['headers']): Date => {
  const text = headers['x-amz-date'] ?? headers.date;
  if (text === undefined) throw new Denial('the request has no date: send X-Amz-Date');
  const basic = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
  const date = new Date(text.replace(basic, '$1-$2-$3T$4:$5:$6Z'));
  if (Number.isNaN(date.getTime()) || (headers['x-amz-date'] !== undefined && !basic.test(text))) {
    throw new Denial('the date of the request cannot be read: X-Amz-Date is YYYYMMDDTHHMMSSZ');
  }
  return date;
};

const checkScope = (claim: Claim, ours: { readonly accessKeyId: string; readonly service: string }): void => {
  if (claim.accessKeyId !== ours.accessKeyId) throw new Denial('the access key is not known here');
  if (claim.service !== ours.service) throw new Denial(`the request is signed for service ${claim.service}: sign it for ${ours.service}`);
  const day = claim.signedAt.toISOString().slice(0, 10).replaceAll('-', '');
  if (claim.day !== day) throw new Denial('the day in the credential scope is not the day of the request');
};

const checkDate = ({ signedAt }: Claim, now: number): void => {
  if (Math.abs(now - signedAt.getTime()) > MAX_CLOCK_SKEW_MS) {
    throw new Denial('the request was signed more than five minutes from now: check the clock, and do not keep signed requests');
  }
};

const checkHeaders = ({ signedHeaders }: Claim, { headers, body }: RequestToVerify): void => {
  if (!signedHeaders.includes('host')) throw new Denial('the host header is not signed');
  const missing = signedHeaders.find((name) => name === 'authorization' || !Object.hasOwn(headers, name));
  if (missing !== undefined) throw new Denial('SignedHeaders names a header that the request does not have');
  if (headers['x-amz-security-token'] !== undefined && !signedHeaders.includes('x-amz-security-token')) {
    throw new Denial('the session token is not signed');
  }
  const declared = headers['x-amz-content-sha256'];
  if (declared === 'UNSIGNED-PAYLOAD') throw new Denial('unsigned bodies are not accepted: sign the hash of the body');
  if (declared !== undefined && declared !== hashOf(body)) throw new Denial('X-Amz-Content-Sha256 is not the hash of the body');
};

/**
 * SignatureV4.sign always adds X-Amz-Date and drops headers of its own choice, but what counts here is the sender's choice:
 * exactly the headers that SignedHeaders names. So the steps are taken one by one.
 */
class Signer extends SignatureV4 {
  async signatureOf(request: RequestToVerify, claim: Claim): Promise<string> {
    const signable = new Set(claim.signedHeaders);
    const headers = Object.fromEntries(claim.signedHeaders.map((name) => [name, request.headers[name] ?? '']));
    const canonical = this.createCanonicalRequest(
      { method: request.method, path: request.rawPath, query: readQuery(request.rawQueryString), headers, protocol: 'http:', hostname: '' },
      getCanonicalHeaders({ method: request.method, path: '', protocol: 'http:', hostname: '', headers }, undefined, signable),
      hashOf(request.body),
    );
    const scope = createScope(claim.day, claim.region, claim.service);
    const { longDate } = this.formatDate(claim.signedAt);
    const toSign = await this.createStringToSign(longDate, scope, canonical, ALGORITHM_IDENTIFIER);
    return this.sign(toSign, { signingDate: claim.signedAt, signingRegion: claim.region, signingService: claim.service });
  }
}

/** The canonical query encodes again what is decoded here. A literal plus is a plus, as no SDK sends a space that way. */
const readQuery = (rawQueryString: string): Record<string, string[]> => {
  const query = new Map<string, string[]>();
  for (const part of rawQueryString.split('&').filter((part) => part !== '')) {
    const [name = '', ...value] = part.split('=');
    const key = decode(name);
    query.set(key, [...(query.get(key) ?? []), decode(value.join('='))]);
  }
  return Object.fromEntries(query);
};

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new Denial('the query string holds a malformed percent-encoding', { cause });
  }
};

const hashOf = (body: Buffer): string => createHash('sha256').update(body).digest('hex');
