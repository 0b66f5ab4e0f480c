// Files as sites have them, written by hand in the formats of sacctmgr 22.05 and of ColdFront's slurm_dump.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readAccounts } from '#cli/account-import/read-accounts';
import { runAccountList } from '#cli/commands/run-account';
import { type AccountImportOptions, runAccountImport } from '#cli/commands/run-account-import';
import type { GlobalOptions } from '#cli/context';
import { createService } from '#test/agent/service';
import { aContext, NOON } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const ACCOUNTS = 'Account|Descr|Org\nchem|chemistry|science\nphysics|physics lab|science\nroot|default root account|root\n';
const ASSOCIATIONS = 'Cluster|Account|User|Share|\nhpc|root||1|\nhpc|chem||1|\nhpc|chem|alice|1|\nhpc|physics|bob|1|\nhpc|physics||1|\n';
const FLAT = `# a comment
Cluster - 'hpc':DefaultQOS='normal'
Parent - 'root'
User - 'root':AdminLevel='Administrator'
Account - 'chem':Description='chemistry':Organization='science':Fairshare=100
Account - 'physics':Description='physics lab':Organization='science'
Parent - 'chem'
User - 'alice':DefaultAccount='chem'
`;
const CSV = 'account,name,budget,start,end\nchem,"Chemistry, organic",1000.50,2026-01-01,2026-12-31\nphysics,Physics,2000,,\n';

const folder = aFolder('asbb-accounts-');
let files = 0;
const file = (content: string): string => {
  files += 1;
  const path = join(folder, `f${files}`);
  writeFileSync(path, content);
  return path;
};

const withService = async (accounts: readonly object[] = []) => {
  const service = createService(() => NOON);
  for (const body of accounts) await service.api.request('createAccount', { body });
  const importing = async (
    contents: readonly string[],
    options: Omit<AccountImportOptions, 'files'> & Pick<GlobalOptions, 'output'> = {},
  ) => {
    const { output, ...rest } = options;
    const { context, machine } = aContext({}, output === undefined ? {} : { output }, { columns: 80, env: { NO_COLOR: '1' } });
    const code = await runAccountImport({ ...context, api: async () => service.api }, { ...rest, files: contents.map(file) });
    return { code, out: machine.out(), err: machine.err() };
  };
  const show = (account: string) => service.api.request('showAccount', { path: { account } });
  const listed = async (): Promise<string> => {
    const { context, machine } = aContext({}, { output: 'csv' });
    await runAccountList({ ...context, api: async () => service.api }, {});
    return machine.out();
  };
  const writes = () => service.requests.filter((request) => !request.startsWith('GET'));
  return { importing, show, listed, writes };
};

describe('a file of accounts', () => {
  it.each([
    ['sacctmgr', ACCOUNTS, ['chem', 'physics']],
    ['sacctmgr', ACCOUNTS.replaceAll('\n', '|\n'), ['chem', 'physics']],
    ['sacctmgr', ASSOCIATIONS, ['chem', 'physics']],
    ['sacctmgr flat file', FLAT, ['chem', 'physics']],
    ['CSV', CSV, ['chem', 'physics']],
    ['CSV', `\ufeff${CSV.replaceAll('\n', '\r\n')}`, ['chem', 'physics']],
    ['CSV', 'ACCOUNT\nroot\n', ['root']],
  ])('of the format %s is told by its content', (format, text, names) => {
    const read = readAccounts({ file: 'x', text });
    expect(read.format).toBe(format);
    expect(read.accounts.map(({ account }) => account)).toEqual(names);
  });

  it('says what an account is for, whatever the format calls it', () => {
    for (const text of [ACCOUNTS, FLAT])
      expect(readAccounts({ file: 'x', text }).accounts).toMatchObject([{ description: 'chemistry' }, { description: 'physics lab' }]);
  });

  it.each([
    ['', 'x: is empty'],
    ['name,budget\nchem,1\n', "x line 1: has no column 'account'"],
    ['account,budget\n,1\n', 'x line 2: names no account'],
    ['account\nno blanks allowed\n', 'x line 2: account'],
    ['account,name\nchem,"open\n', 'x: is not CSV'],
    ['Account|Descr|Org\nroot|default|root\n', 'x: names no account'],
  ])('that is wrong is refused with its line (%j)', (text, sentence) => {
    expect(() => readAccounts({ file: 'x', text })).toThrow(sentence);
  });
});

describe('account import', () => {
  it('shows what it would do, and does nothing, with --dry-run', async () => {
    const { importing, writes } = await withService([{ account: 'physics', name: 'Physics', budget_limit: 500 }]);
    const before = writes().length;
    const { code, out, err } = await importing([CSV], { dryRun: true });
    expect(code).toBe(0);
    expect(out).toBe(`ACCOUNT  CHANGE   FIELD         OLD  NEW
chem     new      name          -    Chemistry, organic
chem     new      budget_limit  -    1000.5
chem     new      start_date    -    2026-01-01
chem     new      end_date      -    2026-12-31
physics  differs  budget_limit  500  2000
`);
    expect(err).toBe('asbb: dry run, nothing was changed: 1 new, 0 changed, 0 unchanged, 1 left as they are (--update changes them)\n');
    expect(writes()).toHaveLength(before);
  });

  it('opens accounts to the cent, and does nothing the second time', async () => {
    const { importing, show, writes } = await withService();
    await importing([CSV]);
    expect(await show('chem')).toMatchObject({
      name: 'Chemistry, organic',
      budget_limit: 1000.5,
      start_date: '2026-01-01',
      end_date: '2026-12-31',
    });
    const { err } = await importing([CSV]);
    expect(err).toBe('asbb: accounts imported: 0 new, 0 changed, 2 unchanged\n');
    expect(writes()).toEqual(['POST /accounts', 'POST /accounts']);
  });

  it('leaves what is there alone, unless told to update it', async () => {
    const { importing, show } = await withService([{ account: 'physics', budget_limit: 500 }]);
    await importing([CSV]);
    expect(await show('physics')).toMatchObject({ name: null, budget_limit: 500 });
    await importing([CSV], { update: true });
    expect(await show('physics')).toMatchObject({ name: 'Physics', budget_limit: 2000 });
  });

  it('gives accounts of sacctmgr the budget that is named, and asks for one if none is', async () => {
    const { importing, show, writes } = await withService();
    await expect(importing([ACCOUNTS])).rejects.toThrow(
      /line 2: how much may account chem spend\? Add a column 'budget' \(of ColdFront: --budget-attribute\), or say --budget/,
    );
    expect(writes()).toEqual([]);
    await importing([ACCOUNTS, ASSOCIATIONS], { budget: '250' });
    expect(await show('physics')).toMatchObject({ budget_limit: 250, description: 'physics lab' });
  });

  it('takes back what account list gives', async () => {
    const { importing, listed } = await withService();
    await importing([CSV]);
    const csv = await listed();
    const other = await withService();
    await other.importing([csv]);
    expect((await other.listed()).split('\r\n').map((line) => line.split(',').slice(0, 5))).toEqual(
      csv.split('\r\n').map((line) => line.split(',').slice(0, 5)),
    );
    expect((await importing([csv], { update: true })).err).toContain('0 new, 0 changed, 2 unchanged');
  });

  it.each([
    ['account,budget\nchem,-1\n', /line 2: budget '-1'/],
    ['account,budget\nchem,1.2345678\n', /line 2: budget '1.2345678'/],
    ['account,budget,start\nchem,1,2026-02-30\n', /line 2: start '2026-02-30'/],
  ])('refuses %j before anything is written', async (text, sentence) => {
    const { importing, writes } = await withService();
    await expect(importing([CSV, text])).rejects.toThrow();
    await expect(importing([text])).rejects.toThrow(sentence);
    expect(writes()).toEqual([]);
  });

  it('refuses files that do not agree', async () => {
    const { importing } = await withService();
    await expect(importing(['account,budget\nchem,1\n', 'account,budget\nchem,2\n'])).rejects.toThrow(
      /line 2: budget of account chem is '2', and .* line 2 says '1'/,
    );
  });

  it('names the account at which it stopped', async () => {
    const { importing, show } = await withService([{ account: 'physics', budget_limit: 500 }]);
    await show('physics');
    const lowered = 'account,budget,start,end\nchem,1,,\nphysics,600,2026-12-31,2026-01-01\n';
    await expect(importing([lowered], { update: true })).rejects.toThrow();
    expect(await show('chem')).toMatchObject({ budget_limit: 1 });
  });

  it('is one object as JSON', async () => {
    const { importing } = await withService();
    const { out } = await importing([CSV], { output: 'json', dryRun: true });
    expect(JSON.parse(out)).toMatchObject({
      dry_run: true,
      accounts: [
        { account: 'chem', change: 'new' },
        { account: 'physics', change: 'new' },
      ],
    });
  });
});

/** Made from the fields of ColdFront's AllocationSerializer; the form of sites' own plugins differs in the words marked by `words`. */
const coldFront = (over: object = {}, words = { list: 'allocation_attributes', name: 'allocation_attribute_type' }) => {
  const attribute = (name: string, value: string) => ({ [words.name]: name, value });
  return [
    {
      id: 1,
      project: 'Organic chemistry',
      resource: 'hpc',
      status: 'Active',
      allocation_users: null,
      [words.list]: [
        attribute('slurm_account_name', 'Chem'),
        attribute('Cloud Budget', '1000.50'),
        attribute('slurm_specs', 'Fairshare=100'),
      ],
      ...over,
    },
    { id: 2, project: 'Old', resource: 'hpc', status: 'Expired', [words.list]: [attribute('slurm_account_name', 'old')] },
    { id: 3, project: 'Disks', resource: 'store', status: 'Active', [words.list]: [attribute('Storage Quota (GB)', '5')] },
  ];
};

describe("ColdFront's allocations", () => {
  const names = { accountAttribute: 'slurm_account_name', budgetAttribute: 'Cloud Budget' };

  it.each([
    ['its API', coldFront()],
    ['its API, as one page', { count: 3, next: null, previous: null, results: coldFront() }],
    ["a site's plugin", coldFront({ project: { id: 7, title: 'Organic chemistry' } }, { list: 'attributes', name: 'attribute_type' })],
  ])('are read as %s gives them: the active ones that have a Slurm account', (_, answer) => {
    expect(readAccounts({ file: 'x', text: JSON.stringify(answer) }, names)).toEqual({
      format: 'ColdFront',
      accounts: [{ account: 'chem', name: 'Organic chemistry', budget: '1000.50', at: 'x row 1 (allocation 1)' }],
    });
  });

  it('are read whatever else they have: what asbb does not use may be there twice, or be empty', () => {
    const attributes = [
      ['slurm_account_name', 'chem'],
      ['slurm_user_specs', 'a'],
      ['slurm_user_specs', 'b'],
      ['note', null],
    ].map(([allocation_attribute_type, value]) => ({ allocation_attribute_type, value }));
    const [first, old] = coldFront({ allocation_attributes: attributes, status: 'Renewal Requested' });
    const text = JSON.stringify([first, { ...old, allocation_attributes: 'whatever' }]);
    expect(readAccounts({ file: 'x', text }, names).accounts).toMatchObject([{ account: 'chem' }]);
  });

  it.each([
    ['[', 'x: is not JSON'],
    ['{"detail":"Invalid token."}', 'x: is no list of allocations'],
    [
      { next: 'https://coldfront.example.org/api/allocations/?page=2', results: [] },
      "x: is one page of several; save the page that 'next'",
    ],
    [[7], 'x row 1: is no allocation'],
    [[{ id: 9 }], 'x row 1 (allocation 9): has no status'],
    [coldFront().slice(1, 2), 'x: none of its 1 allocations is active (Active, Renewal Requested)'],
    [
      coldFront({ allocation_attributes: [{ allocation_attribute_type: 'slurm_account_name', value: null }] }),
      "(allocation 1): its attribute 'slurm_account_name' has no value: fill it in",
    ],
    [[{ id: 1, status: 'Active', allocation_attributes: null }], 'have no attributes: save'],
    [coldFront().slice(2), "has an attribute 'slurm_account_name' (there are: Storage Quota (GB)): name yours with --account-attribute"],
    [coldFront({ allocation_attributes: {} }), 'x row 1 (allocation 1): its attributes are no list'],
    [coldFront({ allocation_attributes: [{ value: 'chem' }] }), 'x row 1 (allocation 1): an attribute has no name'],
    [
      coldFront({ allocation_attributes: ['a', 'b'].map((value) => ({ allocation_attribute_type: 'slurm_account_name', value })) }),
      "has two attributes 'slurm_account_name', a and b",
    ],
    [
      coldFront({ allocation_attributes: [{ allocation_attribute_type: 'slurm_account_name', value: 'no blanks' }] }),
      '(allocation 1): account',
    ],
  ])('that are wrong are refused with their row and the mend (%j)', (answer, sentence) => {
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
    expect(() => readAccounts({ file: 'x', text }, names)).toThrow(sentence);
  });

  it('open accounts with the dollars of the attribute that is named', async () => {
    const { importing, show, writes } = await withService();
    const text = JSON.stringify(coldFront());
    await expect(importing([text])).rejects.toThrow('--budget-attribute');
    expect(writes()).toEqual([]);
    await importing([text], { budgetAttribute: 'Cloud Budget' });
    expect(await show('chem')).toMatchObject({ name: 'Organic chemistry', budget_limit: 1000.5 });
    const dear = JSON.stringify(
      coldFront({
        allocation_attributes: [
          { allocation_attribute_type: 'slurm_account_name', value: 'bio' },
          { allocation_attribute_type: 'Cloud Budget', value: 'lots' },
        ],
      }),
    );
    await expect(importing([dear], { budgetAttribute: 'Cloud Budget' })).rejects.toThrow(/row 1 \(allocation 1\): budget 'lots'/);
  });
});
