// `npm test`: sets itself up, runs every tier, and counts from the runners' own reports. Plain JavaScript, since on a fresh
// clone nothing is installed yet.
//
//   node test/run.mjs [TIER ...]     all tiers, or those named
//
// A tier whose needs are missing says so and counts as skipped; with CI=true it counts as failed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const REPORTS = `${ROOT}reports`;
const IS_CI = process.env.CI === 'true';
const MAX_LINES_OF_FAILURE = 12;

/** What a tier needs beside Node. Each says how to get it. */
const NEEDS = {
  java: { isThere: hasJava, mend: 'Java 17 or newer for DynamoDB Local (Debian: apt-get install openjdk-17-jre-headless)' },
  // Packages are installed, and jobs are submitted as a user that is made for it.
  debian: { isThere: () => process.getuid?.() === 0 && existsSync('/etc/debian_version'), mend: 'root on Debian' },
  python: {
    isThere: () => succeeds('python3', ['-m', 'pip', '--version']),
    mend: 'Python 3 with venv and pip (Debian: apt-get install python3-venv)',
  },
  terminal: { isThere: () => succeeds('script', ['--version']), mend: 'script of util-linux (Debian: apt-get install bsdutils)' },
  curl: { isThere: () => succeeds('curl', ['--version']), mend: 'curl (Debian: apt-get install curl)' },
};

/** In the order of their cost, so that the cheap ones fail first. */
const TIERS = [
  { name: 'types', run: () => check('types', 'node_modules/.bin/tsc', ['--noEmit']), needs: [] },
  { name: 'lint', run: () => check('lint', 'node_modules/.bin/biome', ['check', '.']), needs: [] },
  // The law of the project: every branch of domain and app is tested, or the tier fails.
  { name: 'domain', run: () => vitest('domain', ['test/domain', 'test/app'], ['--coverage']), needs: [] },
  { name: 'house', run: () => vitest('house', ['test/architecture.test.ts', 'test/docs']), needs: [] },
  // Templates and bundles of what is deployed. One test asks for Java too, and one for Python.
  { name: 'infra', run: () => vitest('infra', ['test/infra']), needs: ['java'] },
  { name: 'cli', run: () => vitest('cli', ['test/cli']), needs: [] },
  // What every command prints, and how it looks on a terminal.
  { name: 'golden', run: () => vitest('golden', ['test/golden']), needs: ['terminal'] },
  { name: 'agent', run: () => vitest('agent', ['test/agent']), needs: [] },
  { name: 'local', run: () => vitest('local', ['test/local']), needs: ['java', 'curl'] },
  { name: 'contract', run: () => vitest('contract', ['test/contract']), needs: ['java'] },
  { name: 'http', run: () => vitest('http', ['test/http', 'test/events', 'test/prices']), needs: ['java', 'curl'] },
  // What a stranger's generator makes of docs/openapi.json.
  { name: 'openapi', run: () => vitest('openapi', ['test/openapi']), needs: ['python'] },
  { name: 'money', run: () => vitest('money', ['test/money']), needs: ['java'] },
  { name: 'properties', run: () => vitest('properties', ['test/properties']), needs: ['java'] },
  // A local AWS: stacks are deployed into it for real.
  { name: 'deploy', run: () => vitest('deploy', ['test/deploy']), needs: ['python'] },
  { name: 'start', run: () => vitest('start', ['test/start']), needs: ['java'] },
  // What a Debian machine makes of what it is given.
  { name: 'package', run: () => vitest('package', ['test/package']), needs: ['debian', 'java'] },
  { name: 'plugin', run: pluginModules, needs: ['debian', 'curl'] },
  // What docs/walkthroughs and README.md say, done as they say.
  { name: 'walkthroughs', run: () => vitest('walkthroughs', ['test/walkthroughs']), needs: ['java', 'curl'] },
  // Real clusters on fixed parts of this machine: one file at a time.
  { name: 'slurm', run: () => vitest('slurm', ['test/slurm'], ['--no-file-parallelism']), needs: ['debian'] },
];

requireNode();
install();
rmSync(REPORTS, { recursive: true, force: true });
mkdirSync(REPORTS, { recursive: true });

const total = { passed: 0, failed: 0, skipped: 0 };
/** What failed, told again at the very end: of a long log, often the end is all that is kept. */
const failures = [];
for (const tier of chosen(process.argv.slice(2))) {
  const started = Date.now();
  const missing = tier.needs.filter((need) => !NEEDS[need].isThere());
  const result = missing.length === 0 ? tier.run() : skipped(tier.name, missing);
  for (const key of Object.keys(total)) total[key] += result[key];
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`tier ${tier.name}: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped in ${seconds} s\n`);
}
for (const failure of failures) console.log(`failed: ${failure}\n`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;

function requireNode() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major >= 20) return;
  console.error(`Node ${process.versions.node} is too old: install Node 20 or newer`);
  process.exit(1);
}

function install() {
  const installed = `${ROOT}node_modules/.package-lock.json`;
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(`${ROOT}package-lock.json`).mtimeMs) return;
  console.log('installing packages (npm ci)');
  if (spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: ROOT, stdio: 'inherit' }).status !== 0) process.exit(1);
}

function chosen(names) {
  const unknown = names.filter((name) => !TIERS.some((tier) => tier.name === name));
  if (unknown.length > 0) {
    console.error(`no tier ${unknown.join(', ')}; there are: ${TIERS.map(({ name }) => name).join(', ')}`);
    process.exit(2);
  }
  return names.length === 0 ? TIERS : TIERS.filter(({ name }) => names.includes(name));
}

/** A tool that only says yes or no counts as one. */
function check(name, command, args) {
  console.log(`== ${name}`);
  const { status } = spawnSync(`${ROOT}${command}`, args, { cwd: ROOT, stdio: 'inherit' });
  if (status === 0) return { passed: 1, failed: 0, skipped: 0 };
  failures.push(`${name}: see above`);
  return { passed: 0, failed: 1, skipped: 0 };
}

/** The counts are vitest's own. A run that fails without a failed test (coverage, a crash, no tests) is one failure. */
function vitest(name, paths, options = []) {
  console.log(`== ${name}`);
  const report = `${REPORTS}/${name}.json`;
  const args = ['run', ...paths, ...options, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { status } = spawnSync(`${ROOT}node_modules/.bin/vitest`, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
  });
  if (!existsSync(report)) {
    failures.push(`${name}: vitest ended with status ${status} and without a report`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const {
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests,
    numTodoTests,
    testResults,
  } = JSON.parse(readFileSync(report, 'utf8'));
  failures.push(...testResults.flatMap((file) => failuresOf(name, file)));
  const unexplained = status !== 0 && failed === 0 ? 1 : 0;
  if (unexplained > 0)
    failures.push(`${name}: vitest ended with status ${status} though no test failed (coverage, or a suite that did not load)`);
  return { passed, failed: failed + unexplained, skipped: numPendingTests + numTodoTests };
}

/** A file's failed tests, each with the head of what it said; and what kept the file from loading. */
function failuresOf(tier, { name: file, message, assertionResults }) {
  const head = (text) => text.split('\n').slice(0, MAX_LINES_OF_FAILURE).join('\n    ');
  const tests = assertionResults
    .filter(({ status }) => status === 'failed')
    .map(({ fullName, failureMessages }) => `${tier}: ${relative(ROOT, file)}: ${fullName}\n    ${head(failureMessages.join('\n'))}`);
  return message && tests.length === 0 ? [`${tier}: ${relative(ROOT, file)}: ${head(message)}`] : tests;
}

/** `make check` of the plugin's modules: its counts are cmocka's own, each test once plain, once sanitised, once under valgrind. */
function pluginModules() {
  console.log('== plugin');
  const packages =
    'gcc libc6-dev make libcurl4-openssl-dev libssl-dev libjansson-dev libcmocka-dev libslurm-dev valgrind python3-minimal'.split(' ');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\\n', ...packages], { encoding: 'utf8' });
  const missing = packages.filter((name) => !stdout.includes(`${name} installed`));
  if (missing.length > 0) {
    console.log(`installing ${missing.join(' ')}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env });
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { stdio: ['ignore', 'ignore', 'inherit'], env });
  }
  const make = spawnSync('make', ['-C', `${ROOT}slurm-plugin`, 'check'], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const output = `${make.stdout}${make.stderr}`;
  const sum = (verdict) =>
    [...output.matchAll(new RegExp(`\\[  ${verdict}  \\] (\\d+) test`, 'g'))].reduce((total, [, count]) => total + Number(count), 0);
  const [passed, failed] = [sum('PASSED'), sum('FAILED')];
  console.log(make.status === 0 ? output.split('\n').slice(-12).join('\n') : output);
  if (make.status !== 0)
    failures.push(
      `plugin: make check ended with status ${make.status}\n    ${output.trimEnd().split('\n').slice(-MAX_LINES_OF_FAILURE).join('\n    ')}`,
    );
  return { passed, failed: failed + (make.status !== 0 && failed === 0 ? 1 : 0), skipped: 0 };
}

function skipped(name, missing) {
  const why = `tier ${name} needs ${missing.map((need) => NEEDS[need].mend).join(' and ')}`;
  console.error(`== ${name}\n!! ${IS_CI ? 'FAILED' : 'SKIPPED'}: ${why}`);
  if (IS_CI) failures.push(why);
  return IS_CI ? { passed: 0, failed: 1, skipped: 0 } : { passed: 0, failed: 0, skipped: 1 };
}

function hasJava() {
  const java = process.env.JAVA_HOME ? `${process.env.JAVA_HOME}/bin/java` : 'java';
  const { status, stderr } = spawnSync(java, ['-version'], { encoding: 'utf8' });
  return status === 0 && Number(/version "(\d+)/.exec(stderr)?.[1]) >= 17;
}

function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
