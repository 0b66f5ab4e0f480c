// `asbb config show`: every key of the YAML with where it was said, and how the service is set.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runAsbb } from '#cli/commands/program';
import { CONFIG_TEMPLATE } from '#cli/config';
import { aMachine, ENDPOINT, fakeApi } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const SETTINGS = { version: '0.1.0', store: 'dynamodb', hold_percentage: 1.2, advisor_url: null };

const folder = aFolder('asbb-config-show-');
const system = join(folder, 'system.yaml');
const own = join(folder, 'own.yaml');
writeFileSync(system, 'budget: { orphan_after: 90s }\npricing: { cache_ttl: 12h }\nadvisor: { api_key: hunter2 }\n');
writeFileSync(own, 'pricing: { cache_ttl: 90m }\napi: { endpoint: http://127.0.0.1:9 }\n');

const show = async (line: string, given: Parameters<typeof aMachine>[0] = {}) => {
  const { fetch } = fakeApi({ 'GET /settings': { body: SETTINGS } });
  const machine = aMachine({ fetch, configFiles: [system, own], ...given });
  const code = await runAsbb(`config show ${line}`.trim().split(' '), machine);
  return { code, out: machine.out(), err: machine.err() };
};

const rowsOf = (out: string) => (JSON.parse(out) as { settings: { of: string; key: string; value: unknown; from: string }[] }).settings;

describe('config show', () => {
  it('names the flag, variable, file or default that each setting is from', async () => {
    const { code, out, err } = await show('-o json --region eu-west-1');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const client = (key: string) => rowsOf(out).find((row) => row.of === 'client' && row.key === key);
    expect(client('api.endpoint')).toMatchObject({ value: ENDPOINT, from: 'ASBB_ENDPOINT' });
    expect(client('api.region')).toMatchObject({ value: 'eu-west-1', from: '--region' });
    expect(client('pricing.cache_ttl')).toMatchObject({ value: '90m', from: own });
    expect(client('budget.orphan_after')).toMatchObject({ value: '90s', from: system });
    expect(client('budget.reconciliation_timeout')).toMatchObject({ value: '24h', from: 'default' });
    expect(client('budget.default_hold_percentage')).toMatchObject({ value: 1.2, from: 'default' });
    expect(client('slurm.cluster')).toMatchObject({ value: null, from: 'default' });
  });

  it('has every key that a configuration may have', async () => {
    const { out } = await show('-o json');
    const sections = CONFIG_TEMPLATE.split('\n').reduce<{ at: string; keys: string[] }>(
      ({ at, keys }, line) => {
        const [, section] = /^(\w+):/.exec(line) ?? [];
        const [, key] = /^ {2}(?:# )?(\w+): /.exec(line) ?? [];
        return { at: section ?? at, keys: key === undefined ? keys : [...keys, `${at}.${key}`] };
      },
      { at: '', keys: [] },
    );
    const shown = rowsOf(out).filter(({ of }) => of === 'client');
    expect(shown.map(({ key }) => key).sort()).toEqual(sections.keys.sort());
  });

  it('says how the service is set, and no secret', async () => {
    const { out } = await show('');
    expect(out).toMatch(/^OF +KEY +VALUE +FROM/);
    expect(out).toMatch(/service +hold_percentage +1\.2 +http:\/\/127\.0\.0\.1:8080/);
    expect(out).toMatch(/client +advisor\.api_key +\(set\)/);
    expect(out).not.toContain('hunter2');
  });

  it("shows what is this client's own where the service is away, and says so", async () => {
    const away = (async () => {
      throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } });
    }) as typeof fetch;
    const { code, out, err } = await show('-o json', { fetch: away });
    expect(code).toBe(0);
    expect(rowsOf(out).filter(({ of }) => of === 'service')).toEqual([]);
    expect(err).toMatch(/^asbb: how the service is set is not shown: cannot reach http:\/\/127\.0\.0\.1:8080: connection refused/);
  });
});
