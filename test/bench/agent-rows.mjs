#!/usr/bin/env node
// sacct of a cluster where runs have ended at a steady rate: prints those of a window, streaming. Plain JavaScript, as it is
// started in each pass. What it shows is described by the JSON file beside it.
import { readFileSync } from 'node:fs';

const { first, count, everySeconds, perArray, holds } = JSON.parse(readFileSync(`${process.argv[1]}.json`, 'utf8'));
const at = (flag) => Date.parse(`${process.argv[process.argv.indexOf(flag) + 1]}Z`) / 1000;
const arrayRuns = count / 2;

if (process.argv.includes('-S')) {
  const [from, to] = [at('-S'), at('-E')];
  const begin = Math.max(0, Math.ceil((from - first) / everySeconds));
  let text = '';
  for (let run = begin; run < count && first + run * everySeconds < to; run++) {
    text += rowOf(run);
    if (text.length < 65_536) continue;
    if (!process.stdout.write(text)) await new Promise((drained) => process.stdout.once('drain', drained));
    text = '';
  }
  process.stdout.write(text);
}

/** Even runs are single jobs, odd ones are tasks of arrays. */
function rowOf(run) {
  const end = Math.floor(first + run * everySeconds);
  const index = Math.floor(run / 2);
  const isTask = run % 2 === 1;
  const array = Math.floor(index / perArray);
  const id = isTask ? 10_000_000 + index : 1 + index;
  const name = isTask ? `${10_000_000 + array * perArray}_${index % perArray}` : id;
  const hold = isTask ? holds[arrayRuns + array] : holds[index];
  return `${run + 1}|${id}|${name}|local|alice|bench|aws|COMPLETED|${first - 3600}|${end - 600}|${end}|600|1|cpu=36,mem=1G,node=1|node1|asbb:${hold}\n`;
}
