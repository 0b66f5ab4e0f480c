// A deployed stage `dev`, and its API as a client has it.
import { expect } from 'vitest';
import { askingAws, type LocalAws, signedFor } from '#test/deploy/aws';
import { ACCOUNT, type MiniStack, REGION, startMiniStack } from '#test/deploy/ministack';

/** CDK builds, publishes and waits; on a busy machine that takes minutes. */
export const DEPLOYING_MS = 900_000;
export const STAGE = ['-c', 'stage=dev'] as const;

export interface Stage {
  readonly ministack: MiniStack;
  readonly aws: LocalAws;
  /** What CloudFormation gave out of the API's stack. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly ask: Ask;
}

type Ask = (method: string, path: string, body?: object) => Promise<{ status: number; body: Record<string, unknown> }>;

export const bootstrapped = async (): Promise<MiniStack> => {
  const ministack = await startMiniStack();
  await ministack.cdk('bootstrap', `aws://${ACCOUNT}/${REGION}`, ...STAGE);
  return ministack;
};

/** As docs/deploy.md says it. */
export const deploy = (ministack: MiniStack, ...context: readonly string[]): Promise<string> =>
  ministack.npm('run', 'deploy', '--', ...STAGE, ...context.flatMap((each) => ['-c', each]), '--require-approval', 'never');

export const deployedStage = async (ministack: MiniStack): Promise<Stage> => {
  const outputs = outputsIn(await deploy(ministack));
  const api = `${ministack.endpointOf(outputs.ApiEndpoint ?? '')}/api/v1`;
  return {
    ministack,
    aws: askingAws(ministack.url),
    outputs,
    ask: async (method, path, body) => {
      const json = body === undefined ? {} : { 'content-type': 'application/json' };
      const options = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await fetch(`${api}${path}`, { method, headers: { ...signedFor('execute-api'), ...json }, ...options });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    },
  };
};

const outputsIn = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^Asbb-dev-Api\.(\w+) = (.*)$/gm)].map(([, name = '', value = '']) => [name, value]));

/** Partition `ten`, at $10 for a node and hour: a node for an hour is held at $12. */
export const TEN_DOLLARS = { region: 'us-east-1', instance_types: [], unpriced: 'flat', flat_rate_per_node_hour: 10 };
export const anHour = (account: string) => ({ account, partition: 'ten', cluster: 'alpha', wall_time: '1:00:00', nodes: 1 });

/** Runs against it what must be refused. @returns all that was said */
export const refused = async (work: Promise<string>): Promise<string> => {
  const outcome = await work.then(
    (said) => ({ said, wasRefused: false }),
    ({ stdout, stderr }: { stdout: string; stderr: string }) => ({ said: `${stdout}${stderr}`, wasRefused: true }),
  );
  expect(outcome).toMatchObject({ wasRefused: true });
  return outcome.said;
};
