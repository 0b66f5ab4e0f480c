// `npm run bench`: every figure of docs/benchmarks.md, each with what it is compared to, in one run.
//
//   npm run bench -- [http] [help] [bundle] [memory] [agent] [extends] [estimate]     all of them, or those named
//   ASBB_BENCH_CHECKS=20000                                                a shorter run of memory
import { benchAgent, benchExtends } from '#test/bench/agent';
import { benchBundle } from '#test/bench/bundle';
import { benchEstimate } from '#test/bench/estimate';
import { benchHelp } from '#test/bench/help';
import { benchHttp } from '#test/bench/http';
import { machineLine, markdownOf, type Section } from '#test/bench/measure';
import { benchMemory } from '#test/bench/memory';

const CHECKS = Number(process.env.ASBB_BENCH_CHECKS ?? 100_000);

const BENCHES: Readonly<Record<string, () => Section | Promise<Section>>> = {
  http: benchHttp,
  help: benchHelp,
  bundle: benchBundle,
  memory: () => benchMemory(CHECKS),
  agent: () => benchAgent(),
  extends: benchExtends,
  estimate: benchEstimate,
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHES);
process.stdout.write(`${machineLine()}\n\n`);
for (const name of names) {
  const bench = BENCHES[name];
  if (bench === undefined) throw new Error(`no benchmark ${name}; there are: ${Object.keys(BENCHES).join(', ')}`);
  process.stdout.write(`${markdownOf(await bench())}\n`);
}
