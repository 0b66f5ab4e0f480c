import type { Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';

const work = () => import('#cli/commands/run-database');

/** `asbb database`: the table itself. */
export const databaseCommand = (shell: Shell): Command =>
  createCommand('database', {
    summary: 'The DynamoDB table that database.table and database.endpoint of the configuration name',
    examples: ['asbb database migrate', 'asbb database status'],
  })
    .addCommand(
      createCommand('migrate', {
        summary: 'Create the table, or bring it to this version; again changes nothing',
        examples: ['asbb database migrate', 'AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000 asbb database migrate --region us-east-1'],
      }).action((_options: object, command: Command) => shell.run(command, async (context) => (await work()).runDatabaseMigrate(context))),
    )
    .addCommand(
      createCommand('status', {
        summary: 'Say whether this asbb can work with the table; exits 1 if not',
        examples: ['asbb database status', 'asbb database status --json | jq .schema_version'],
      }).action((_options: object, command: Command) => shell.run(command, async (context) => (await work()).runDatabaseStatus(context))),
    );
