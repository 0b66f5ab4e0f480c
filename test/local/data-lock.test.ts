import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { identify, isAlive, lockDataDirectory } from '#cli/local/data-lock';
import { runScript, type Script, temporaryFolder } from '#test/local/processes';

/** Above the greatest pid that Linux gives (2^22). */
const NO_PID = 2 ** 22 + 1;

const lockFile = (directory: string): string => join(directory, 'asbb.lock');
const leaveLock = (directory: string, owner: object): void => writeFileSync(lockFile(directory), JSON.stringify(owner));
const ownerOf = (directory: string): unknown => JSON.parse(readFileSync(lockFile(directory), 'utf8'));

const race = async (contenders: Script[]): Promise<string[]> => {
  await Promise.all(contenders.map((contender) => contender.line()));
  for (const { child } of contenders) child.stdin?.write('go\n');
  return Promise.all(contenders.map((contender) => contender.line()));
};

describe('lockDataDirectory', () => {
  it('makes the folder for its owner only, and cleans up on release', () => {
    const directory = join(temporaryFolder(), 'a', 'b');
    const lock = lockDataDirectory(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(lockFile(directory)).mode & 0o777).toBe(0o600);
    expect(ownerOf(directory)).toMatchObject({ pid: process.pid });
    lock.release();
    lock.release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it("refuses a second server and names the first's pid", async () => {
    const directory = temporaryFolder();
    const first = runScript('try-lock.ts', directory);
    expect(await race([first])).toEqual(['locked']);
    expect(() => lockDataDirectory(directory)).toThrow(new RegExp(`pid ${first.child.pid}:`));
  });

  it('takes over from an owner that was killed', async () => {
    const directory = temporaryFolder();
    const first = runScript('try-lock.ts', directory);
    await race([first]);
    await first.kill();
    lockDataDirectory(directory);
    expect(ownerOf(directory)).toMatchObject({ pid: process.pid });
    expect(readdirSync(directory)).toEqual(['asbb.lock']);
  });

  it('lets exactly one of many take over from a dead owner', async () => {
    const directory = temporaryFolder();
    leaveLock(directory, { ...identify(process.pid), pid: NO_PID });
    const contenders = Array.from({ length: 5 }, () => runScript('try-lock.ts', directory));
    const outcomes = await race(contenders);
    const winner = contenders[outcomes.indexOf('locked')]?.child.pid;
    expect(outcomes.filter((outcome) => outcome === 'locked')).toHaveLength(1);
    expect(ownerOf(directory)).toMatchObject({ pid: winner });
    for (const outcome of outcomes.filter((outcome) => outcome !== 'locked')) expect(outcome).toContain(`pid ${winner}:`);
  });

  it('does not take a recycled pid for the owner', () => {
    const directory = temporaryFolder();
    leaveLock(directory, { ...identify(process.pid), started: '1' });
    lockDataDirectory(directory);
    expect(ownerOf(directory)).toMatchObject({ pid: process.pid, started: identify(process.pid).started });
  });

  it('takes over from before a reboot, and from a power failure', () => {
    const directory = temporaryFolder();
    leaveLock(directory, { ...identify(process.pid), boot: 'another' });
    lockDataDirectory(directory).release();
    writeFileSync(lockFile(directory), '');
    lockDataDirectory(directory).release();
  });

  it('takes over although somebody died while taking over', () => {
    const directory = temporaryFolder();
    const dead = { ...identify(process.pid), pid: NO_PID };
    leaveLock(directory, dead);
    const before = readdirSync(directory);
    // The right to replace this content, left by one who died before using it (the name is the start of the content's SHA-256).
    writeFileSync(
      join(directory, `asbb.lock.${execFileSync('sha256sum', [lockFile(directory)], { encoding: 'utf8' }).slice(0, 16)}`),
      JSON.stringify(dead),
    );
    lockDataDirectory(directory);
    expect(ownerOf(directory)).toMatchObject({ pid: process.pid });
    expect(readdirSync(directory)).toEqual(before);
  });

  it('refuses what another host holds, as nobody here can know whether that one lives', () => {
    const directory = temporaryFolder();
    leaveLock(directory, { ...identify(process.pid), host: 'elsewhere', pid: 4711 });
    expect(() => lockDataDirectory(directory)).toThrow(/host elsewhere, pid 4711:.*asbb\.lock/);
  });

  it('does not remove a lock that is not its own any more', () => {
    const directory = temporaryFolder();
    const lock = lockDataDirectory(directory);
    leaveLock(directory, identify(process.pid));
    lock.release();
    expect(readdirSync(directory)).toEqual(['asbb.lock']);
  });
});

describe('isAlive', () => {
  it.each([
    ['this process', {}, true],
    ['a pid that nobody has', { pid: NO_PID }, false],
    ['a pid with another start', { started: '1' }, false],
    ['a system without /proc', { started: null }, true],
    ['a pid from before the reboot', { boot: 'another' }, false],
    ['another host', { host: `not-${hostname()}`, pid: NO_PID }, true],
  ])('%s', (_, difference, alive) => {
    expect(isAlive({ ...identify(process.pid), ...difference })).toBe(alive);
  });
});
