// What a submission waits for when its function starts cold: the modules of a bundle are loaded, then asked for one check and
// for a second. A process of its own, so that nothing is loaded yet. Prints CPU milliseconds of each as JSON: other work on the
// machine counts little in them, and garbage collection and compilation beside the main thread are in.
//
//   node cold-start-run.mjs BUNDLE EVENT
const [file, event] = process.argv.slice(2);

const cpuOf = async (work) => {
  const from = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(from);
  return { ms: (user + system) / 1000, result };
};

const start = await cpuOf(() => import(file));
const check = async () => {
  const asked = JSON.parse(event);
  asked.requestContext.timeEpoch = Date.now();
  asked.body = JSON.stringify({ ...JSON.parse(asked.body), hold_id: crypto.randomUUID() });
  return start.result.handler(asked, { awsRequestId: 'bench' });
};

const write = process.stdout.write.bind(process.stdout);
process.stdout.write = () => true; // Its lines of telemetry are made, and end here.
const first = await cpuOf(check);
const second = await cpuOf(check);
for (const { result } of [first, second])
  if (JSON.parse(result.body).available !== true) throw new Error(`a check was not admitted: ${result.body}`);
write(JSON.stringify({ start: start.ms, first: first.ms, second: second.ms }), () => process.exit(0));
