import type { Command } from 'commander';
import { accountOption, createCommand, limitOption, type Shell } from '#cli/commands/command';
import type { AccountFields, DepositFields } from '#cli/commands/run-account';
import type { AccountImportOptions } from '#cli/commands/run-account-import';

const work = () => import('#cli/commands/run-account');

/** `asbb account`: who has money, and how much. */
export const accountCommand = (shell: Shell): Command =>
  createCommand('account', {
    summary: 'Accounts: who has money, and how much',
    examples: ['asbb account list', 'asbb account create --account=proj001 --budget=1000', 'asbb account deposit proj001 --amount 250'],
  })
    .addCommand(listCommand(shell))
    .addCommand(createAccountCommand(shell))
    .addCommand(showCommand(shell))
    .addCommand(updateCommand(shell))
    .addCommand(deleteCommand(shell))
    .addCommand(depositCommand(shell))
    .addCommand(withdrawCommand(shell))
    .addCommand(importCommand(shell));

const listCommand = (shell: Shell): Command =>
  createCommand('list', {
    summary: 'List all accounts',
    examples: ['asbb account list', "asbb account list --json | jq '.accounts[] | select(.budget_available < 100)'"],
  })
    .addOption(limitOption())
    .action((options: { limit?: string }, command: Command) =>
      shell.run(command, async (context) => (await work()).runAccountList(context, options)),
    );

const createAccountCommand = (shell: Shell): Command =>
  createCommand('create', {
    summary: 'Give a Slurm account a budget',
    examples: [
      'asbb account create --account=proj001 --name="Protein folding" --budget=1000 --start=2025-01-01 --end=2025-12-31',
      'asbb account create chem --budget 250.50',
    ],
  })
    .argument('[account]', 'Slurm account')
    .addOption(accountOption())
    .option('--name <text>', 'what people call it')
    .option('--description <text>', 'what it is for')
    .option('--budget <dollars>', 'what it may spend')
    .option('--start <date>', 'first day on which it admits jobs (UTC)')
    .option('--end <date>', 'last day on which it admits jobs (UTC)')
    .action((bare: string | undefined, options: AccountFields, command: Command) =>
      shell.run(command, async (context) => (await work()).runAccountCreate(context, { ...options, bare })),
    );

const showCommand = (shell: Shell): Command =>
  createCommand('show', { summary: 'Show one account', examples: ['asbb account show proj001', 'asbb account show -A proj001 --json'] })
    .argument('[account]', 'Slurm account')
    .addOption(accountOption())
    .action((bare: string | undefined, options: { account?: string }, command: Command) =>
      shell.run(command, async (context) => (await work()).runAccountShow(context, { ...options, bare })),
    );

const updateCommand = (shell: Shell): Command =>
  createCommand('update', {
    summary: "Change an account's words, dates, status or budget",
    examples: [
      'asbb account update proj001 --budget 2000',
      'asbb account update proj001 --status suspended',
      'asbb account update proj001 --end none --if-version 3',
    ],
  })
    .argument('[account]', 'Slurm account')
    .addOption(accountOption())
    .option('--name <text>', 'what people call it')
    .option('--description <text>', 'what it is for')
    .option('--budget <dollars>', 'what it may spend in all; not below what is spent and held')
    .option('--start <date>', "first day on which it admits jobs (UTC), or 'none'")
    .option('--end <date>', "last day on which it admits jobs (UTC), or 'none'")
    .option('--status <status>', 'active, suspended or closed')
    .option('--if-version <n>', 'only if nobody changed it since this version')
    .action((bare: string | undefined, options: AccountFields, command: Command) =>
      shell.run(command, async (context) => (await work()).runAccountUpdate(context, { ...options, bare })),
    );

const deleteCommand = (shell: Shell): Command =>
  createCommand('delete', {
    summary: 'Remove an account that was never used, close any other',
    examples: ['asbb account delete proj001'],
  })
    .argument('[account]', 'Slurm account')
    .addOption(accountOption())
    .action((bare: string | undefined, options: { account?: string }, command: Command) =>
      shell.run(command, async (context) => (await work()).runAccountDelete(context, { ...options, bare })),
    );

const depositCommand = (shell: Shell): Command =>
  withDepositOptions(
    createCommand('deposit', {
      summary: 'Add money to an account',
      examples: [
        'asbb account deposit proj001 --amount 250',
        'asbb account deposit proj001 --amount 250 --deposit-id grant-2025-q1 --note "first quarter"',
      ],
    }),
  ).action((bare: string | undefined, options: DepositFields, command: Command) =>
    shell.run(command, async (context) => (await work()).runAccountDeposit(context, { ...options, bare })),
  );

const withdrawCommand = (shell: Shell): Command =>
  withDepositOptions(
    createCommand('withdraw', {
      summary: 'Take available money from an account',
      examples: ['asbb account withdraw proj001 --amount 100 --note "moved to proj002"'],
    }),
  ).action((bare: string | undefined, options: DepositFields, command: Command) =>
    shell.run(command, async (context) => (await work()).runAccountWithdraw(context, { ...options, bare })),
  );

const importCommand = (shell: Shell): Command =>
  createCommand('import', {
    summary: 'Open accounts that a file names: CSV, sacctmgr -P, its flat file, or ColdFront allocations as JSON',
    examples: [
      'asbb account import grants.csv --dry-run',
      'asbb account import <(sacctmgr -P show account) --budget 1000',
      'asbb account import allocations.json --budget-attribute "Cloud Budget" --dry-run',
      'asbb account list -o csv > accounts.csv; asbb account import accounts.csv --update',
    ],
  })
    .argument('<files...>', 'files; a CSV has a header: account,name,description,budget,start,end')
    .option('--budget <dollars>', 'what each new account may spend of which no file says it')
    .option('--account-attribute <name>', "of ColdFront's allocations: what holds the Slurm account (default: slurm_account_name)")
    .option('--budget-attribute <name>', "of ColdFront's allocations: what holds the dollars")
    .option('--update', 'also change accounts that are there, to what the files say of them')
    .option('--dry-run', 'show what would change, and change nothing')
    .action((files: string[], options: Omit<AccountImportOptions, 'files'>, command: Command) =>
      shell.run(command, async (context) =>
        (await import('#cli/commands/run-account-import')).runAccountImport(context, { ...options, files }),
      ),
    );

const withDepositOptions = (command: Command): Command =>
  command
    .argument('[account]', 'Slurm account')
    .addOption(accountOption())
    .option('--amount <dollars>', 'how much')
    .option('--deposit-id <id>', 'the same id again is the same booking, so a retry is safe (default: a new UUID)')
    .option('--note <text>', 'why, for the ledger');
