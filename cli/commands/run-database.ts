import { StoreUnavailable } from '#app/ports';
import type { Context, TableAdmin, TableStatus } from '#cli/context';
import { CommandError, EXIT, type ExitCode } from '#cli/exit';
import { printSheet, type Shape } from '#cli/render';
import { otherSchema, SCHEMA_VERSION } from '#contract/table';

type Row = ReturnType<typeof rowOf>;

const SHAPE: Shape<Row> = { table: 'text', state: 'state', schema_version: 'count', missing_indexes: 'list', usable: 'flag' };
const LABELS = [
  ['table', 'Table'],
  ['state', 'State'],
  ['schema_version', 'Schema version'],
  ['missing_indexes', 'Missing indexes'],
  ['usable', 'Usable'],
] as const;

export const runDatabaseMigrate = async (context: Context): Promise<ExitCode> => {
  const status = await asked(context, (table) => table.migrate());
  context.tell(status.created ? `table ${status.table} was made` : `table ${status.table} was there`);
  return report(context, status);
};

export const runDatabaseStatus = async (context: Context): Promise<ExitCode> =>
  report(context, await asked(context, (table) => table.status()));

const asked = async <T>(context: Context, ask: (table: TableAdmin) => Promise<T>): Promise<T> => {
  try {
    return await ask(await context.table());
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    const isUnsigned = error.cause instanceof Error && error.cause.name === 'CredentialsProviderError';
    if (isUnsigned) {
      throw new CommandError(
        EXIT.notAuthorised,
        'no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile',
        {
          cause: error,
        },
      );
    }
    throw new CommandError(EXIT.unreachable, `${error.message}: check database.endpoint, the region and the network`, { cause: error });
  }
};

const report = async (context: Context, status: TableStatus): Promise<ExitCode> => {
  await printSheet(context, { shape: SHAPE, labels: LABELS, value: rowOf(status) });
  if (status.usable) return EXIT.ok;
  context.complain(problemOf(status));
  return EXIT.failed;
};

const problemOf = ({ table, state, missingIndexes, schemaVersion }: TableStatus): string => {
  if (state === 'absent') return `there is no table ${table}: make it with 'asbb database migrate'`;
  if (missingIndexes.length > 0) return `table ${table} is not one of asbb's: name another one as database.table`;
  if (schemaVersion === null) return `table ${table} is not ready (${state}): run 'asbb database migrate'`;
  if (schemaVersion !== SCHEMA_VERSION) return otherSchema({ table, schemaVersion });
  return `table ${table} cannot be used now (${state}): try again`;
};

const rowOf = ({ table, state, schemaVersion, missingIndexes, usable }: TableStatus) => ({
  table,
  state,
  schema_version: schemaVersion,
  missing_indexes: missingIndexes,
  usable,
});
