// Memory of the local server after many checks: it must not grow with them.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Section, withServer } from '#test/bench/measure';

const CLIENTS = 8;
const STEPS = 10;

export const benchMemory = (checks: number): Promise<Section> =>
  withServer({}, async ({ url, pid }) => {
    const post = async (path: string, body: unknown) => {
      const response = await fetch(`${url}/api/v1${path}`, { method: 'POST', body: JSON.stringify(body) });
      if (!response.ok) throw new Error(await response.text());
      return response.json();
    };
    await post('/accounts', { account: 'bench', budget_limit: 900_000_000 });
    const rows = [['0', mebibytesOf(pid).toFixed(0)]];
    for (let step = 1; step <= STEPS; step++) {
      let left = Math.ceil(checks / STEPS);
      await Promise.all(
        Array.from({ length: CLIENTS }, async () => {
          while (left-- > 0)
            await post('/budget/check', { account: 'bench', partition: 'aws', nodes: 1, wall_time: '01:00:00', hold_id: randomUUID() });
        }),
      );
      rows.push([String(Math.ceil(checks / STEPS) * step), mebibytesOf(pid).toFixed(0)]);
    }
    return {
      title: `Memory of the local server over ${checks.toLocaleString('en-US')} checks`,
      notes: [`Resident memory of the server's own process (DynamoDB Local is another), ${CLIENTS} clients, every check admitted.`],
      head: ['checks', 'RSS MiB'],
      rows,
    };
  });

const mebibytesOf = (pid: number): number => {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error('this system does not say how much memory a process has');
  return Number(kib) / 1024;
};
