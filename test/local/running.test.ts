import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { announceServer, findRunningServers, type UserFolders } from '#cli/local/running';
import { runScript, temporaryFolder } from '#test/local/processes';

const NOON = new Date('2026-03-01T12:00:00Z');
const ONE = new Date('2026-03-01T13:00:00Z');

const serversFolder = ({ home }: UserFolders): string => join(home, '.local', 'state', 'asbb', 'servers');
const fileOf = (folders: UserFolders, pid: number): string => join(serversFolder(folders), `${pid}.json`);

describe('running servers', () => {
  it('are found until withdrawn', () => {
    const folders = { home: temporaryFolder() };
    expect(findRunningServers(folders)).toEqual([]);
    const announced = announceServer(folders, { port: 8080, pid: process.pid, auth: true, startedAt: NOON });
    expect(findRunningServers(folders)).toEqual([
      { url: 'http://127.0.0.1:8080', port: 8080, pid: process.pid, auth: true, startedAt: '2026-03-01T12:00:00.000Z' },
    ]);
    expect(statSync(serversFolder(folders)).mode & 0o777).toBe(0o700);
    expect(statSync(fileOf(folders, process.pid)).mode & 0o777).toBe(0o600);
    announced.withdraw();
    announced.withdraw();
    expect(findRunningServers(folders)).toEqual([]);
  });

  it('come newest first', () => {
    const folders = { home: temporaryFolder() };
    announceServer(folders, { port: 1, pid: process.ppid, auth: false, startedAt: NOON });
    announceServer(folders, { port: 2, pid: process.pid, auth: false, startedAt: ONE });
    expect(findRunningServers(folders).map(({ port }) => port)).toEqual([2, 1]);
  });

  it('are forgotten, file and all, when dead', async () => {
    const folders = { home: temporaryFolder() };
    const server = runScript('try-lock.ts', join(folders.home, 'data'));
    await server.line();
    announceServer(folders, { port: 8080, pid: server.child.pid, auth: false, startedAt: NOON });
    expect(findRunningServers(folders)).toHaveLength(1);
    await server.kill();
    expect(findRunningServers(folders)).toEqual([]);
    expect(readdirSync(serversFolder(folders))).toEqual([]);
  });

  it('are neither reached nor removed when they are of another host with the same home', () => {
    const folders = { home: temporaryFolder() };
    announceServer(folders, { port: 8080, pid: process.pid, auth: false, startedAt: NOON });
    const announcement = JSON.parse(readFileSync(fileOf(folders, process.pid), 'utf8'));
    writeFileSync(
      fileOf(folders, process.pid),
      JSON.stringify({ ...announcement, process: { ...announcement.process, host: 'elsewhere' } }),
    );
    expect(findRunningServers(folders)).toEqual([]);
    expect(readdirSync(serversFolder(folders))).toHaveLength(1);
  });

  it('are not confused by other files', () => {
    const folders = { home: temporaryFolder() };
    mkdirSync(serversFolder(folders), { recursive: true });
    for (const [name, content] of Object.entries({ '1.json': 'half', '2.json': '{}', 'notes.txt': 'x', '3.json.tmp': '{' })) {
      writeFileSync(join(serversFolder(folders), name), content);
    }
    expect(findRunningServers(folders)).toEqual([]);
  });

  it.each([
    ['an absolute XDG_STATE_HOME', (home: string) => join(home, 'xdg'), (home: string) => join(home, 'xdg')],
    ['a relative one', () => 'xdg', (home: string) => join(home, '.local', 'state')],
    ['an empty one', () => '', (home: string) => join(home, '.local', 'state')],
  ])('are announced where %s says', (_, stateHome, expected) => {
    const home = temporaryFolder();
    announceServer({ home, stateHome: stateHome(home) }, { port: 8080, pid: process.pid, auth: false, startedAt: NOON });
    expect(readdirSync(join(expected(home), 'asbb', 'servers'))).toEqual([`${process.pid}.json`]);
  });
});
