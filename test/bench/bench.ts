// `npm run bench`: every figure of docs/benchmarks.md, each with what it is compared to, in one run.
//
//   npm run bench -- [http] [help] [bundle] [memory]     all of them, or those named
//   ASBB_BENCH_CHECKS=20000                     a shorter run of memory
import { cpus, release, totalmem, type } from 'node:os';
import { benchBundle } from '#test/bench/bundle';
import { benchHelp } from '#test/bench/help';
import { benchHttp } from '#test/bench/http';
import { markdownOf, type Section } from '#test/bench/measure';
import { benchMemory } from '#test/bench/memory';

const CHECKS = Number(process.env.ASBB_BENCH_CHECKS ?? 100_000);

const BENCHES: Readonly<Record<string, () => Section | Promise<Section>>> = {
  http: benchHttp,
  help: benchHelp,
  bundle: benchBundle,
  memory: () => benchMemory(CHECKS),
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHES);
const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}, Node ${process.versions.node}`;
process.stdout.write(`${new Date().toISOString().slice(0, 10)}, ${machine}\n\n`);
for (const name of names) {
  const bench = BENCHES[name];
  if (bench === undefined) throw new Error(`no benchmark ${name}; there are: ${Object.keys(BENCHES).join(', ')}`);
  process.stdout.write(`${markdownOf(await bench())}\n`);
}
