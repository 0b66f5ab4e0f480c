// From the publisher through the wire of `asbb local` to a settled hold: all of it real, and the server a process of its own.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createEventPublisher } from '#adapters/event-publisher';
import { jobEnded, type RunDetail } from '#contract/events';
import { type AccountBody, apiAt, type HoldBody, startApi, TEN_DOLLARS, temporaryFolder, type VerdictBody } from '#test/http/api';

const ROOT = join(import.meta.dirname, '../..');
const KEYS = { accessKeyId: 'dev', secretAccessKey: 'secret' };
const PATIENCE_MS = 20_000;

const folderOfTest = (): string => {
  const { path, remove } = temporaryFolder();
  onTestFinished(remove);
  return path;
};

/** `asbb local` as somebody would start it. */
const startProcess = async (...args: string[]) => {
  const folder = folderOfTest();
  const env = { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder, XDG_CONFIG_HOME: folder, XDG_STATE_HOME: folder };
  const line = ['--import', 'tsx', 'cli/asbb.ts', 'local', '--port', '0', '--data', join(folder, 'data'), ...args];
  const child = spawn(process.execPath, line, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on('line', (each) => said.push(each));
  for await (const each of createInterface({ input: child.stdout })) {
    const url = /^asbb: listening on (\S+)$/.exec(each)?.[1];
    if (url !== undefined) return { url, said };
  }
  throw new Error(`asbb local ended: ${said.join('\n')}`);
};

const publisherTo = (url: string, credentials = KEYS) => {
  vi.stubEnv('AWS_ENDPOINT_URL_EVENTBRIDGE', url);
  onTestFinished(() => void vi.unstubAllEnvs());
  const publisher = createEventPublisher({ bus: 'asbb', region: 'us-east-1', credentials });
  onTestFinished(publisher.close);
  return publisher;
};

const eventually = async <T>(look: () => Promise<T>, isThere: (found: T) => boolean): Promise<T> => {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (isThere(found)) return found;
    if (Date.now() > end) throw new Error(`not within ${PATIENCE_MS} ms: ${JSON.stringify(found)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
};

describe('an ended run on its way through the bus of asbb local', () => {
  it('settles its hold; what cannot be booked ends in the dead letters, and keeps nothing else from its end', async () => {
    const { url, said } = await startProcess();
    const api = apiAt(url);
    onTestFinished(api.close);
    await api.put('/partitions/ten', TEN_DOLLARS);
    await api.post('/accounts', { account: 'physics', budget_limit: 1000 });
    const holdIds = Array.from({ length: 12 }, () => randomUUID());
    for (const hold_id of holdIds) {
      const job = { account: 'physics', partition: 'ten', nodes: 1, wall_time: '01:00:00', hold_id };
      expect((await api.post<VerdictBody>('/budget/check', job)).body.available).toBe(true);
    }

    const runs = holdIds.map((hold_id, place): RunDetail => ({ hold_id, run_id: `hpc-${place}`, actual_cost: 2.5, state: 'COMPLETED' }));
    const broken = { run_id: 'hpc-broken', actual_cost: -1, account: 'physics', job_id: '17' };
    expect(await publisherTo(url).put([broken, ...runs, ...runs].map(jobEnded))).toEqual({ failed: [] });

    const account = await eventually(
      async () => (await api.get<AccountBody>('/accounts/physics')).body,
      ({ budget_held }) => budget_held === 0,
    );
    expect(account).toMatchObject({ budget_limit: 1000, budget_used: 30, budget_held: 0, budget_available: 970 });
    expect((await api.get<HoldBody>(`/holds/${holdIds[0]}`)).body).toMatchObject({ state: 'settled', used: 2.5 });

    await eventually(
      async () => said,
      (lines) => lines.some((line) => line.includes('dead letters')),
    );
    expect(said.filter((line) => line.includes('dead letters'))).toEqual([
      expect.stringMatching(
        /^asbb: event [0-9a-f-]{36} \(run hpc-broken\) is in the dead letters: it failed 5 times, for the reasons above$/,
      ),
    ]);
    const reasons = said.filter((line) => line.includes('jobEnded failed'));
    expect(reasons).toHaveLength(5);
    for (const reason of reasons)
      expect(reason).toMatch(/run hpc-broken of job 17 is not booked: detail\.actual_cost: .*\(validation_failed\)/);
    expect((await api.post<{ differences: unknown[] }>('/audit', {})).body.differences).toEqual([]);
  });

  it('must be signed for the service events where signatures are demanded', async () => {
    const { server, stop } = await startApi(folderOfTest(), { store: 'memory', credentials: KEYS });
    onTestFinished(stop);
    const run = { run_id: 'hpc-1', actual_cost: 1, account: 'physics', job_id: '17' };
    expect(await publisherTo(server.url).put([jobEnded(run)])).toEqual({ failed: [] });
    expect(await publisherTo(server.url, { ...KEYS, secretAccessKey: 'other' }).put([jobEnded(run)])).toEqual({
      failed: [{ index: 0, code: 'InvalidSignatureException', message: expect.stringMatching(/^the signature does not match/) }],
    });

    const { host, hostname } = new URL(server.url);
    const body = JSON.stringify({ Entries: [] });
    const headers = { host, 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AWSEvents.PutEvents' };
    const signer = new SignatureV4({ credentials: KEYS, region: 'us-east-1', service: 'execute-api', sha256: Sha256 });
    const signed = await signer.sign({ method: 'POST', protocol: 'http:', hostname, path: '/', query: {}, headers, body });
    const api = apiAt(server.url);
    onTestFinished(api.close);
    expect(await api.raw('POST', '/', body, signed.headers)).toMatchObject({
      status: 403,
      body: { __type: 'InvalidSignatureException', message: 'the request is signed for service execute-api: sign it for events' },
    });
    expect(await api.raw('POST', '/', body, headers)).toMatchObject({
      status: 403,
      body: { __type: 'MissingAuthenticationTokenException' },
    });
  });

  it('may be larger than what the API takes, up to what EventBridge takes', async () => {
    const { api, server, stop } = await startApi(folderOfTest(), { store: 'memory' });
    onTestFinished(stop);
    await api.post('/accounts', { account: 'physics', budget_limit: 1000 });
    const job_metadata = { note: '"'.repeat(100 * 1024) };
    expect(
      await publisherTo(server.url).put([jobEnded({ run_id: 'hpc-1', actual_cost: 1, account: 'physics', job_id: '17', job_metadata })]),
    ).toEqual({
      failed: [],
    });
    await eventually(
      async () => (await api.get<AccountBody>('/accounts/physics')).body,
      ({ budget_used }) => budget_used === 1,
    );
  });

  it('is not taken from a page of the web', async () => {
    const { api, stop } = await startApi(folderOfTest(), { store: 'memory' });
    onTestFinished(stop);
    const headers = { 'x-amz-target': 'AWSEvents.PutEvents', origin: 'https://example.com' };
    expect((await api.raw('POST', '/', JSON.stringify({ Entries: [] }), headers)).status).toBe(403);
  });
});
