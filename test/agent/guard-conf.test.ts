import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findGuardConf, parseGuardConf, readGuardConf } from '#cli/agent/guard-conf';
import { CommandError } from '#cli/exit';
import { aFolder } from '#test/support/folders';

const PLUGIN = join(import.meta.dirname, '../../slurm-plugin');
const SEEDS = join(PLUGIN, 'test/fuzz/seeds/conf');
const LEAST = 'Endpoint=http://127.0.0.1:8080\nPartition=aws\n';

const folder = aFolder('asbb-guard-conf-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parse = (text: string) => parseGuardConf(Buffer.from(text), 'asbb.conf');

describe('the whole of asbb.conf', () => {
  it('gives the agent what it needs', () => {
    const conf = parse(
      [
        '# the whole of it\r',
        '  ENDPOINT = "https://abc.execute-api.eu-central-1.amazonaws.com/prod/api/v1/"   # as the stack prints it',
        'cluster=hpc TimeoutMs=800 ConnectTimeoutMs=200',
        'Partition=aws FailMode=open',
        'partition=gpu failmode=CLOSED',
        'Enforce=No Notify=YES OnRefusal=Drop',
        'BreakerFailures=5 BreakerSeconds=60 MaxConnections=8',
        'Credentials=file:/etc/asbb/credentials CaFile="/etc/my ca.pem" SpoolFile="/srv/été/asbb.spool"',
        'ExemptUsers=root,svc OperatorUsers=alice UnknownAccount=allow CronJobs=allow AllowHttp=yes',
      ].join('\n'),
    );
    expect(conf).toMatchObject({
      endpoint: 'https://abc.execute-api.eu-central-1.amazonaws.com/prod',
      region: 'eu-central-1',
      cluster: 'hpc',
      spoolFile: '/srv/été/asbb.spool',
      enforce: 'no',
    });
  });

  it('has the defaults of the contract', () => {
    expect(parse(LEAST)).toEqual({
      guards: expect.any(Function),
      endpoint: 'http://127.0.0.1:8080',
      enforce: 'yes',
      partitions: ['aws'],
      credentials: 'auto',
    });
  });

  it('takes the example, which is in shadow mode', () => {
    const conf = readGuardConf(join(PLUGIN, 'asbb.conf.example'));
    expect(conf).toMatchObject({ endpoint: 'https://abc123.execute-api.us-east-1.amazonaws.com', region: 'us-east-1', enforce: 'no' });
    expect(conf.guards('aws')).toBe(true);
  });
});

describe('what is guarded', () => {
  it.each([
    ['Partition=aws', 'aws', true],
    ['Partition=aws', 'local', false],
    ['Partition=aws', 'aws,local', true],
    ['Partition=aws', 'local,aws', true],
    ['Partition=aws', ',,local,', false],
    ['Partition=aws', 'AWS', false],
    ['Partition=aws', 'aws2', false],
    ['Partition=aws', '', false],
    ['Partition=aws\nPartition=gpu', 'gpu', true],
    ['Partition=*', 'anything', true],
    ['Partition=*', '', true],
    ['Partition=*', ',', false],
    ['Partition=gpu\nPartition=*', 'local', true],
  ])('%j: a job to %j: %s', (lines, partition, guarded) => {
    expect(parse(`Endpoint=http://127.0.0.1\n${lines}`).guards(partition)).toBe(guarded);
  });
});

describe('a file that cannot be read', () => {
  it.each([
    ['a folder', (path: string) => mkdirSync(path), /: is not a file: check its path/],
    ['a FIFO', (path: string) => execFileSync('mkfifo', [path]), /: is not a file: check its path/],
    ['nothing', () => undefined, /: cannot be read \(ENOENT\): check its path \(beside slurm.conf, or \$ASBB_CONF\)/],
  ])('%s', (name, make, sentence) => {
    const path = join(folder, name);
    make(path);
    expect(() => readGuardConf(path)).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringMatching(sentence) }));
  });
});

describe('where it is', () => {
  const usual = ['first', 'second'].map((name) => join(folder, name));
  const [first = '', second = ''] = usual;
  mkdirSync(first);
  mkdirSync(second);
  const HAS_IT = join(second, 'asbb.conf');
  writeFileSync(HAS_IT, LEAST);

  it.each([
    ['$ASBB_CONF', { ASBB_CONF: '/x/y.conf', SLURM_CONF: '/a/slurm.conf' }, { slurmConf: '/b/slurm.conf' }, '/x/y.conf'],
    ['an empty $ASBB_CONF is none', { ASBB_CONF: '', SLURM_CONF: '/a/slurm.conf' }, {}, '/a/asbb.conf'],
    ['beside the slurm.conf that was named', { SLURM_CONF: '/a/slurm.conf' }, { slurmConf: '/b/slurm.conf' }, '/b/asbb.conf'],
    ['beside $SLURM_CONF', { SLURM_CONF: '/slurm.conf' }, {}, '/asbb.conf'],
    ['a slurm.conf without folder says nothing', { SLURM_CONF: 'slurm.conf' }, { folders: [first] }, join(first, 'asbb.conf')],
    ['the first usual folder that has it', {}, { folders: usual }, HAS_IT],
    ['the first usual folder, if none has it', {}, { folders: [first] }, join(first, 'asbb.conf')],
  ])('%s', (_name, env, options, path) => {
    expect(findGuardConf(env, options)).toBe(path);
  });
});

/** Each with the line that is wrong, 0 if none is, or -1 for the file as a whole. The sentences themselves are compared with the plugin's below. */
const CASES: readonly (readonly [text: string, line: number])[] = [
  [`${LEAST}Endpiont=x\n`, 3],
  [`${LEAST}TimeoutMs=0\n`, 3],
  [`${LEAST}TimeoutMs=9001\n`, 3],
  [`${LEAST}TimeoutMs=050\n`, 0],
  [`${LEAST}TimeoutMs=1e3\n`, 3],
  [`${LEAST}TimeoutMs=-1\n`, 3],
  [`${LEAST}TimeoutMs=99999999999999999999\n`, 3],
  [`${LEAST}ConnectTimeoutMs=9\n`, 3],
  [`${LEAST}BreakerFailures=0\n`, 3],
  [`${LEAST}BreakerSeconds=3601\n`, 3],
  [`${LEAST}MaxConnections=65\n`, 3],
  [`${LEAST}Enforce=maybe\n`, 3],
  [`${LEAST}Enforce=""\n`, 3],
  [`${LEAST}OnRefusal=x\n`, 3],
  [`${LEAST}UnknownAccount=yes\n`, 3],
  [`${LEAST}Notify=no\nnotify=no\n`, 4],
  [`${LEAST}Credentials=vault\n`, 3],
  [`${LEAST}Credentials=file\n`, 3],
  [`${LEAST}Credentials=file:here\n`, 3],
  [`${LEAST}Credentials=FILE:/here Region=r\n`, 0],
  [`${LEAST}Credentials=file:/${'x'.repeat(1024)}\n`, 3],
  [`${LEAST}Credentials=env\n`, 3],
  [`${LEAST}Credentials=AUTO\n`, 0],
  [`${LEAST}CaFile=ca.pem\n`, 3],
  [`${LEAST}SpoolFile=/${'x'.repeat(1023)}\n`, 0],
  [`${LEAST}SpoolFile=/${'x'.repeat(1024)}\n`, 3],
  [`${LEAST}SpoolFile="/with blank # and hash"\n`, 0],
  [`${LEAST}Region=us east\n`, 3],
  [`${LEAST}Cluster="a b"\n`, 3],
  [`${LEAST}Cluster=${'c'.repeat(64)}\n`, 0],
  [`${LEAST}Cluster=${'c'.repeat(65)}\n`, 3],
  [`${LEAST}Cluster=é\n`, 3],
  [`${LEAST}Partition=aws\n`, 3],
  [`${LEAST}Partition=a,b\n`, 3],
  [`${LEAST}Partition=a Partition=b\n`, 3],
  [`${LEAST}Partition=a FailMode=ajar\n`, 3],
  [`${LEAST}Partition=a FailMode=open FailMode=open\n`, 3],
  [`${LEAST}Partition=a FailMode=open\n`, 3],
  [`${LEAST}Partition=a FailMode=open\nSpoolFile=/s\n`, 0],
  [`${LEAST}FailMode=open\n`, 3],
  [`${LEAST}Cluster\n`, 3],
  [`${LEAST}Cluster hpc\n`, 3],
  [`${LEAST}=x\n`, 3],
  [`${LEAST}Cluster=hpc =x\n`, 3],
  [`${LEAST}Cluster="hpc" ; \n`, 3],
  [`${LEAST}Cluster=\n`, 3],
  [`${LEAST}Cluster=#x\n`, 3],
  [`${LEAST}Cluster=hpc#x Cluster=y\n`, 0],
  [`${LEAST}Cluster="hpc\n`, 3],
  [`${LEAST}Cluster="hpc"x\n`, 3],
  [`${LEAST}Cluster="hpc"#x\n`, 0],
  [`${LEAST}Cluster\t=\t"hpc"\tEnforce = no\r\n`, 0],
  [`${LEAST}${'k'.repeat(33)}=x\n`, 3],
  [`${LEAST}ExemptUsers=a,,b\n`, 3],
  [`${LEAST}ExemptUsers="a, b"\n`, 3],
  [`${LEAST}OperatorUsers=a,\n\n\n`, 5],
  [`${LEAST}ExemptUsers=""\n`, 3],
  [`${LEAST}#${'x'.repeat(2047)}\n`, 0],
  [`${LEAST}#${'x'.repeat(2048)}\n`, 3],
  [`${LEAST}a\0b`, 3],
  [`${LEAST}\f`, 3],
  [`${LEAST}${'#\n'.repeat(32_745)}#`, 0], // 65536 bytes
  [`${LEAST}${'#\n'.repeat(32_745)}##`, -1],
  ['Partition=aws\n', 1],
  ['', -1],
  ['Endpoint=http://127.0.0.1\n', 1],
  [Array.from({ length: 65 }, (_, p) => `Partition=p${p}\n`).join(''), 65],
  ['\nEndpoint=http://api.example.org\nPartition=a\n', 2],
  ...(
    [
      ['http://127.0.0.1.example.org', 1],
      ['http://localhost.example.org', 1],
      ['http://127.0.0.1@example.org', 1],
      ['ftp://127.0.0.1', 1],
      ['127.0.0.1:8080', 1],
      ['http://', 1],
      ['http:///', 1],
      ['http://:80', 1],
      ['http://[::1', 1],
      ['http://[::1/]', 1],
      ['http://[::1]', 0],
      ['http://[::1]x', 1],
      ['http://127.0.0.1:0', 1],
      ['http://127.0.0.1:080', 1],
      ['http://127.0.0.1:65536', 1],
      ['http://127.0.0.1:65535', 0],
      ['http://127.0.0.1:', 1],
      ['http://127.0.0.1/a?b', 1],
      ['http://127.0.0.1/é', 1],
      ['http://127.0.0.1/$default/', 0],
      ['http://127.0.0.1/api/v1', 0],
      ['http://127.0.0.1//api/v1///', 0],
      ['HTTP://LOCALHOST:8080', 0],
      ['http://127.8.9.1', 0],
      ['http://127.8.9', 1],
      ['https://api.example.org', 1],
      ['https://a.execute-api.us-east-1.amazonaws.com.cn', 0],
      ['https://a.execute-api..amazonaws.com', 1],
      ['https://a.execute-api.us-east-1.example.org', 1],
      ['https://a.execute-api.x.execute-api.us-east-1.amazonaws.com', 1],
      [`http://localhost/${'p'.repeat(512)}`, 1],
    ] as const
  ).map(([endpoint, line]) => [`Endpoint=${endpoint}\nPartition=a\n`, line] as const),
  ['Endpoint=http://api.site:8080 AllowHttp=yes\nPartition=a', 0],
  ['Endpoint=HTTPS://api.example.org:443 Region=us-east-1\nPartition=a', 0],
];

describe('each line', () => {
  it.each(CASES.map(([text, line]) => ({ shown: JSON.stringify(text).slice(0, 120), text, line })))('of $shown', ({ text, line }) => {
    const outcome = outcomeOf(text, 'asbb.conf');
    if (line === 0) expect(outcome).toMatchObject({ verdict: 'taken' });
    else
      expect(outcome).toMatchObject({
        verdict: 'refused',
        sentence: expect.stringContaining(line === -1 ? 'asbb.conf:0: ' : `asbb.conf:${line}: `),
      });
  });
});

type Outcome =
  | { readonly verdict: 'refused'; readonly sentence: string }
  | { readonly verdict: 'taken'; readonly conf: object; readonly partitions: readonly string[] };

/** What ours says. Which partitions it guards is asked of it, since it does not list them. */
const outcomeOf = (content: string | Buffer, name: string, partitions: readonly string[] = []): Outcome => {
  try {
    const { guards, partitions: _, credentials: __, ...conf } = parseGuardConf(Buffer.from(content as string), name);
    return { verdict: 'taken', conf, partitions: partitions.filter((partition) => guards(partition)) };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { verdict: 'refused', sentence: error.message };
  }
};

const hasCompiler = spawnSync('gcc', ['--version']).status === 0;

describe.skipIf(!hasCompiler)('the plugin and the agent', () => {
  /** What the plugin's own parser says of files in a folder. */
  const askPlugin = (names: readonly string[], cwd: string): Map<string, Outcome> => {
    const program = join(folder, 'read-conf');
    execFileSync('gcc', ['-std=gnu11', `-I${PLUGIN}`, '-o', program, join(import.meta.dirname, 'read-conf.c'), join(PLUGIN, 'conf.c')]);
    const words = execFileSync(program, names, { cwd, maxBuffer: 1 << 26 })
      .toString('utf8')
      .split('\0');
    const next = () => words.shift() ?? '';
    return new Map(
      names.map((name): [string, Outcome] => {
        if (next() === 'refused') return [name, { verdict: 'refused', sentence: next() }];
        const [endpoint, region, cluster, spoolFile, enforce] = [next(), next(), next(), next(), next()];
        const conf = Object.fromEntries(
          Object.entries({ endpoint, region, cluster, spoolFile, enforce }).filter(([, value]) => value !== ''),
        );
        const partitions: string[] = [];
        for (let partition = next(); partition !== ''; partition = next()) partitions.push(partition);
        return [name, { verdict: 'taken', conf, partitions }];
      }),
    );
  };

  const expectEqual = (files: readonly (readonly [name: string, content: string | Buffer])[], cwd: string): void => {
    mkdirSync(cwd, { recursive: true });
    for (const [name, content] of files) writeFileSync(join(cwd, name), content);
    const said = askPlugin(
      files.map(([name]) => name),
      cwd,
    );
    for (const [name, content] of files) {
      const theirs = said.get(name);
      const ours = outcomeOf(content, name, theirs?.verdict === 'taken' ? theirs.partitions : []);
      expect({ name, content: content.toString().slice(0, 600), ...ours }).toEqual({
        name,
        content: content.toString().slice(0, 600),
        ...theirs,
      });
    }
  };

  it('read the table of lines alike', () => {
    expectEqual(
      CASES.map(([text], index) => [`case-${index}.conf`, text]),
      join(folder, 'cases'),
    );
  });

  it('read the seeds of the fuzzer alike, and the example', () => {
    const seeds = readdirSync(SEEDS).map((name) => [name, readFileSync(join(SEEDS, name))] as const);
    expectEqual([...seeds, ['asbb.conf.example', readFileSync(join(PLUGIN, 'asbb.conf.example'))]], join(folder, 'seeds'));
  });

  it('read what is left of them after any mutation alike', () => {
    const FILES = 3_000;
    const seeds = [
      ...CASES.map(([text]) => text).filter((text) => text.length < 1_000),
      ...readdirSync(SEEDS).map((name) => readFileSync(join(SEEDS, name), 'latin1')),
    ];
    const roll = aDice(20_261_125);
    const PIECES = [
      '"',
      '#',
      '=',
      ' ',
      '\t',
      '\r',
      '\n',
      '\0',
      '\xff',
      ',',
      '/',
      '[',
      ']',
      ':',
      '*',
      '0',
      'a',
      '.',
      ' Partition=x',
      ' Region=r',
      '\nSpoolFile=/s',
      ' FailMode=open',
    ];
    const mutated = (): string => {
      let text = seeds[roll(seeds.length)] ?? '';
      for (let times = 1 + roll(3); times > 0; times -= 1) {
        const at = roll(text.length + 1);
        text = text.slice(0, at) + (PIECES[roll(PIECES.length + 6)] ?? '') + text.slice(at + roll(3));
      }
      return text;
    };
    expectEqual(
      Array.from({ length: FILES }, (_, index) => [`m${index}`, Buffer.from(mutated(), 'latin1')]),
      join(folder, 'mutated'),
    );
  });
});

/** Park and Miller's minimal standard generator: the same files on every machine. */
const aDice = (seed: number) => {
  let state = seed;
  return (sides: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % sides;
  };
};
