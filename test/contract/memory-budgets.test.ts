import { expect, it } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { aHold, anAccount, aPartition, placing } from '#test/contract/samples';
import { describeBudgetStore } from '#test/contract/store-suite';

describeBudgetStore('memory', async () => createMemoryBudgets());

it('keeps copies of what it is given, so that nobody changes the store beside its methods', async () => {
  const store = createMemoryBudgets();
  const instanceTypes = ['c5.large'];
  await store.writePartition(aPartition({ instanceTypes }));
  instanceTypes.push('p4d.24xlarge');
  expect((await store.readPartition('aws'))?.instanceTypes).toEqual(['c5.large']);
});

it('hands out what nobody can change', async () => {
  const store = createMemoryBudgets();
  await store.createAccount(anAccount(), undefined);
  const hold = aHold();
  await store.commit(placing(hold));
  const taken = await store.readHold(hold.holdId);
  expect(() => Object.assign(taken?.terms ?? {}, { nodes: 1 })).toThrow(TypeError);
  expect(() => Object.assign(taken?.terms.rates[0]?.nodeTypes[0] ?? {}, { cpus: 1 })).toThrow(TypeError);
});
