// Where the CLI finds this user's own running `asbb local`: one small file per server.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { identify, isAlive, type ProcessIdentity } from '#cli/local/data-lock';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** HOME and XDG_STATE_HOME, as the composition root read them. */
export interface UserFolders {
  readonly home: string;
  /** Used only if absolute, as the XDG base directory specification demands. @default ~/.local/state */
  readonly stateHome?: string | undefined;
}

export interface ServerToAnnounce {
  readonly port: number;
  readonly pid: number;
  /** Whether it demands signed requests. */
  readonly auth: boolean;
  readonly startedAt: Date;
}

export interface RunningServer {
  readonly url: string;
  readonly pid: number;
  readonly port: number;
  readonly auth: boolean;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
}

interface Announcement extends Omit<RunningServer, 'url'> {
  readonly process: ProcessIdentity;
}

/** Let `findRunningServers` find this server until it is withdrawn or dead. */
export const announceServer = (folders: UserFolders, { port, pid, auth, startedAt }: ServerToAnnounce): { withdraw(): void } => {
  const directory = serversFolder(folders);
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  const announcement: Announcement = { port, pid, auth, startedAt: startedAt.toISOString(), process: identify(pid) };
  const path = join(directory, `${pid}.json`);
  // A reader must never see half a file. The draft's name does not end in .json, so nobody reads it.
  writeFileSync(`${path}.tmp`, JSON.stringify(announcement), { mode: FILE_MODE });
  renameSync(`${path}.tmp`, path);
  return { withdraw: () => rmSync(path, { force: true }) };
};

/** This user's servers on this host, newest first. Files of dead servers are removed on the way. */
export const findRunningServers = (folders: UserFolders): RunningServer[] => {
  const directory = serversFolder(folders);
  return namesIn(directory)
    .filter((name) => /^\d+\.json$/.test(name))
    .map((name) => inspect(join(directory, name)))
    .filter((server) => server !== undefined)
    .sort((a, b) => b.startedAt.localeCompare(a.startedAt));
};

const serversFolder = ({ home, stateHome }: UserFolders): string =>
  join(stateHome && isAbsolute(stateHome) ? stateHome : join(home, '.local', 'state'), 'asbb', 'servers');

const namesIn = (directory: string): string[] => {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new Error(`cannot look for running servers in ${directory}`, { cause: error });
  }
};

const inspect = (path: string): RunningServer | undefined => {
  const announcement = parse(path);
  // A home directory may be shared by many hosts; what runs on another one is neither ours to reach nor to remove.
  if (announcement === undefined || announcement.process.host !== hostname()) return undefined;
  if (!isAlive(announcement.process)) {
    rmSync(path, { force: true });
    return undefined;
  }
  const { port, pid, auth, startedAt } = announcement;
  return { url: `http://127.0.0.1:${port}`, pid, port, auth, startedAt };
};

const parse = (path: string): Announcement | undefined => {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Announcement;
    const complete = Number.isInteger(value.port) && Number.isInteger(value.process?.pid) && typeof value.startedAt === 'string';
    return complete ? value : undefined;
  } catch {
    return undefined; // Withdrawn at this moment, or not written by us.
  }
};
