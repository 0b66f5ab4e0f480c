// What Slurm 22.05.8 wrote of a job of two nodes that gave one back after six seconds.
import { expect, it } from 'vitest';
import { parseAccountedRun } from '#cli/agent/slurm-rows';

const rowOf = (columns: string): string => `${columns}|pair[1-2]|asbb:0e5cf4d2-0000-4000-8000-000000000001`;

it('a job that gave nodes back is not charged again for the time before', () => {
  const before = rowOf('5|8|8|testbed|root|physics|pair|RESIZING|1795595707|1795595709|1795595715|6|2|billing=2,cpu=2,mem=32M,node=2');
  const after = rowOf('16|8|8|testbed|root|physics|pair|COMPLETED|1795595715|1795595709|1795595749|40|1|billing=1,cpu=1,mem=16M,node=1');
  expect(parseAccountedRun(before)).toMatchObject({ startedAt: 1795595709, endedAt: 1795595715, nodes: 2 });
  expect(parseAccountedRun(after)).toMatchObject({ startedAt: 1795595715, endedAt: 1795595749, nodes: 1 });
});
