import type { World } from '#app/ports';
import { type Days, type PeriodRequest, readUsageOf } from '#app/read-usage';
import { type AccuracyRow, compared, type UsageBy } from '#domain/usage';

export interface AccuracyRequest extends PeriodRequest {
  readonly by: UsageBy;
  /** Which share of the holds may overrun what is suggested, in ten-thousandths. */
  readonly riskE4: number;
}

export interface AccuracySummary extends Days {
  readonly riskE4: number;
  readonly rows: readonly AccuracyRow[];
  readonly total: Omit<AccuracyRow, 'key'>;
}

/**
 * How what was estimated and held compares with what was used, of holds that were closed in some days. From the sums that usage
 * is kept in: no hold is read.
 * @throws BudgetError account_not_found, validation_failed for more months than are read at once
 */
export const measureAccuracy = async (world: World, request: AccuracyRequest): Promise<AccuracySummary> => {
  const { days, usage } = await readUsageOf(world, request);
  return { ...days, riskE4: request.riskE4, ...compared(usage, request) };
};
