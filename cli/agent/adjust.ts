// A hold follows its job: Slurm has allowed the change, so there is nothing to refuse any more.
import { attempt, type Desk } from '#cli/agent/desk';
import type { VerdictAnswer } from '#cli/api-client';

/** New absolute values, as the wire names them. */
export interface Adjustment {
  readonly wall_time?: string;
  readonly nodes?: number;
  readonly account?: string;
  readonly partition?: string;
}

/** `refused`: for good, and complained about. `later`: the API could not do it now. */
export type Followed = 'done' | 'refused' | 'ended' | 'later';

/**
 * Change a hold to what its job has become. If the account cannot pay for it, the hold is marked forced, and overdraws: what
 * runs will be charged either way, and an account that looks solvent would admit more.
 */
export const makeFollow = async (
  desk: Desk,
  { holdId, account, partition }: { readonly holdId: string; readonly account: string; readonly partition: string },
  adjustment: Adjustment,
): Promise<Followed> => {
  let outcome: Followed = 'later';
  const ask = (): Promise<VerdictAnswer | undefined> =>
    attempt(
      desk,
      () => desk.api.request('adjustHold', { path: { hold_id: holdId }, body: adjustment }),
      (code, error) => {
        outcome = code === 'hold_closed' || code === 'hold_not_found' ? 'ended' : 'refused';
        // A job that waits for an unguarded partition keeps its hold until it has run there, for nothing.
        if (outcome === 'refused' && code !== 'partition_not_found')
          desk.complain(`hold ${holdId} cannot follow its job: ${error.message}`);
        return undefined;
      },
    );
  let verdict = await ask();
  if (verdict?.available === false) {
    await markForced(desk, { holdId, account: adjustment.account ?? account, partition });
    verdict = await ask();
  }
  if (verdict === undefined) return outcome;
  if (!verdict.available) {
    desk.complain(`hold ${holdId} is smaller than what its job may cost: ${verdict.message}`);
    return 'refused';
  }
  desk.counts.adjusted += 1;
  return 'done';
};

const markForced = async (desk: Desk, { holdId, ...job }: { holdId: string; account: string; partition: string }): Promise<void> => {
  const body = { ...job, cluster: desk.settings.cluster, hold_id: holdId, reason: 'Slurm allowed a change that the budget did not' };
  await attempt(
    desk,
    () => desk.api.request('forceHold', { body }),
    (_, error) => {
      desk.complain(`hold ${holdId} cannot be forced: ${error.message}`);
      return undefined;
    },
  );
};
