import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONFIG_TEMPLATE, loadConfig, parseConfig, parseDuration } from '#cli/config';
import { aFolder } from '#test/support/folders';

const fileOf = (content: string): string => {
  const file = join(aFolder('asbb-config-'), 'config.yaml');
  writeFileSync(file, content);
  return file;
};

describe('the configuration', () => {
  it('has a default for whatever nobody says', () => {
    expect(loadConfig({ usual: ['/nonexistent/config.yaml'] })).toEqual({
      api: {},
      slurm: { binPath: '/usr/bin', timeoutMs: 120_000 },
      agent: { intervalMs: 15_000 },
      service: {},
      budget: {
        defaultHoldPercentage: { numerator: 1_200_000n, denominator: 1_000_000n },
        reconciliationTimeoutMs: 86_400_000,
        orphanAfterMs: 120_000,
      },
      advisor: { timeoutMs: 30_000 },
      pricing: { cacheTtlMs: 86_400_000 },
      database: { table: 'asbb' },
      files: [],
      origins: {},
    });
  });

  it('takes each key from the last file that has it', () => {
    const system = fileOf('api: {endpoint: https://a.example, region: eu-west-1}\nslurm: {cluster: hpc1}\n');
    const user = fileOf('api:\n  endpoint: http://127.0.0.1:9999/\nbudget: {default_hold_percentage: 1.5, orphan_after: 90s}\n');
    const config = loadConfig({ usual: [system, user] });
    expect(config.api).toEqual({ endpoint: 'http://127.0.0.1:9999/', region: 'eu-west-1' });
    expect(config.slurm).toEqual({ binPath: '/usr/bin', timeoutMs: 120_000, cluster: 'hpc1' });
    expect(config.budget).toMatchObject({ defaultHoldPercentage: { numerator: 1_500_000n }, orphanAfterMs: 90_000 });
    expect(config.files).toEqual([system, user]);
  });

  it('is read from the named file instead of the usual ones', () => {
    const usual = fileOf('slurm: {cluster: usual}');
    const explicit = fileOf('api: {region: us-west-2}');
    const config = loadConfig({ explicit, usual: [usual] });
    expect(config.slurm.cluster).toBeUndefined();
    expect(config.api.region).toBe('us-west-2');
  });

  it('must exist where it was named', () => {
    expect(() => loadConfig({ explicit: '/nonexistent/c.yaml', usual: [] })).toThrow(
      "there is no configuration file /nonexistent/c.yaml: write one with 'asbb config init --output /nonexistent/c.yaml'",
    );
  });

  it('may be a template with nothing filled in', () => {
    expect(parseConfig('', 'f')).toEqual({});
    expect(parseConfig('api:\nslurm: {cluster: }\n', 'f')).toEqual({ slurm: {} });
    expect(parseConfig(CONFIG_TEMPLATE, 'f')).toMatchObject({ slurm: { bin_path: '/usr/bin' }, database: { table: 'asbb' } });
  });

  it('has a template whose commented keys are known ones', () => {
    const filled = CONFIG_TEMPLATE.replace(/^ {2}# (\w+: \S+)$/gm, '  $1');
    const config = loadConfig({ explicit: fileOf(filled), usual: [] });
    expect(config.api).toEqual({ endpoint: 'https://abcdefghij.execute-api.us-east-1.amazonaws.com', region: 'us-east-1' });
    expect(config.advisor).toEqual({ url: 'https://advisor.example.org', apiKey: 'secret', timeoutMs: 30_000 });
    expect(config.service).toEqual({ listenAddr: '127.0.0.1:8080' });
  });

  it.each([
    ['bogus: 1', "f.yaml: unknown key 'bogus': the sections are api, slurm, agent, service, budget, advisor, pricing, database"],
    ['api: {endpont: x}', "f.yaml: unknown key 'api.endpont': the keys of api are endpoint, region"],
    ['api: http://x', "f.yaml: 'api' must be a section with keys below it"],
    ['api: {endpoint: localhost:8080}', "f.yaml: 'api.endpoint' must be a URL like https://host or http://host:port"],
    ['budget: {orphan_after: 2}', "f.yaml: 'budget.orphan_after' must be text"],
    ['budget: {orphan_after: 2 min}', "f.yaml: 'budget.orphan_after' must be a duration like 24h, 90m, 30s or 2d"],
    [
      'budget: {default_hold_percentage: 0}',
      "f.yaml: 'budget.default_hold_percentage' must be a factor greater than 0 with at most six decimals, like 1.2",
    ],
    ['- api', 'f.yaml: must be a mapping of sections: api, slurm, agent, service, budget, advisor, pricing, database'],
    [
      'database: {driver: postgres}',
      "f.yaml: 'database.driver' is of the original design: there is no choice of a database any more: the money is in a DynamoDB table, named by database.table",
    ],
    [
      'database: {dsn: "postgres://x"}',
      "f.yaml: 'database.dsn' is of the original design: a DynamoDB table has no DSN: name it by database.table, and where it is by database.endpoint",
    ],
  ])('refuses %s', (content, message) => {
    expect(() => parseConfig(content, 'f.yaml')).toThrow(expect.objectContaining({ message, exitCode: 2 }));
  });

  it('says where its YAML is broken', () => {
    expect(() => parseConfig('api:\n  endpoint: [', 'f.yaml')).toThrow(/^f\.yaml line \d: is not YAML: /);
  });

  it.each([
    ['24h', 86_400_000],
    ['90m', 5_400_000],
    ['30s', 30_000],
    ['2d', 172_800_000],
    ['1h30m', 5_400_000],
    ['500ms', 500],
    ['0s', undefined],
    ['24', undefined],
    ['-1h', undefined],
    ['1.5h', undefined],
    ['400d', undefined],
    ['', undefined],
  ])('reads the duration %s as %s ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});
