// With a bus configured, ended runs travel as events: the real agent, the SDK's own client, and the bus of `asbb local`.
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { createApiClient } from '#cli/api-client';
import { accountedLine, aFakeSlurm, anAgentMachine } from '#test/agent/fake-slurm';
import { SETTINGS, startApi, TEN_DOLLARS, temporaryFolder } from '#test/http/api';

const HALF_AN_HOUR = 1800;
const PATIENCE_MS = 10_000;

it('puts ended runs on the bus, where each is settled once, however often it is put', async () => {
  const folder = temporaryFolder();
  onTestFinished(folder.remove);
  const { server, stop } = await startApi(folder.path, { store: 'memory', settings: SETTINGS });
  onTestFinished(stop);
  const api = createApiClient({ endpoint: server.url, fetch, now: Date.now });
  await api.request('putPartition', { path: { partition: 'aws' }, body: TEN_DOLLARS });
  await api.request('createAccount', { body: { account: 'physics', budget_limit: 1000 } });
  const slurm = aFakeSlurm(folder.path);
  const keys = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };
  const machine = anAgentMachine(folder.path, {
    url: server.url,
    binPath: slurm.binPath,
    eventBus: 'asbb-test',
    env: { ...keys, AWS_ENDPOINT_URL_EVENTBRIDGE: server.url },
  });

  const begin = Math.floor(Date.now() / 1000) - 3600;
  const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
  let rows = '';
  for (let job = 1; job <= 12; job += 1) {
    const hold_id = randomUUID();
    await api.request('checkBudget', {
      body: { account: 'physics', partition: 'aws', nodes: 1, wall_time: '01:00:00', cluster: 'local', hold_id },
    });
    rows += accountedLine({ id: String(job), index: String(job), ...times, comment: `asbb:${hold_id}` });
  }
  slurm.prints('sacct', rows);
  expect(await machine.run(['--once'])).toMatchObject({ status: 0 });

  const account = () => api.request('showAccount', { path: { account: 'physics' } });
  const end = Date.now() + PATIENCE_MS;
  while ((await account()).budget_held > 0 && Date.now() < end) await new Promise((wake) => setTimeout(wake, 100));
  expect(await account()).toMatchObject({ budget_used: 60, budget_held: 0 });

  // Put again, all of them: nothing is charged twice.
  rmSync(machine.stateFile);
  expect(await machine.run(['--once'])).toMatchObject({ status: 0 });
  await new Promise((wake) => setTimeout(wake, 1_000));
  expect(await account()).toMatchObject({ budget_used: 60, budget_held: 0 });
  expect(server.deadLetters()).toEqual([]);
});
