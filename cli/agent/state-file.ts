// Where the agent keeps its state, so that whoever asks after its health looks in the same place.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '#cli/config';
import type { Context } from '#cli/context';

/** `--state`, else agent.state_file, else in the folder of whoever runs this. */
export const stateFileOf = (context: Context, config: Config, asked: string | undefined): string =>
  asked ?? config.agent.stateFile ?? join(stateFolderOf(context), 'agent.json');

export const healthFileOf = (stateFile: string): string => `${stateFile}.health`;

const SYSTEM_FOLDER = '/var/lib/asbb';

/**
 * Where to look for the health of this machine's agent. `sudo -u slurm asbb doctor` is no unit of systemd, so nobody names the
 * folder of the service to it.
 */
export const healthFileToRead = (
  context: Context,
  config: Config,
  { asked, systemFolder = SYSTEM_FOLDER }: { readonly asked: string | undefined; readonly systemFolder?: string },
): string => {
  const own = healthFileOf(stateFileOf(context, config, asked));
  if (asked !== undefined || config.agent.stateFile !== undefined || existsSync(own)) return own;
  const ofService = healthFileOf(join(systemFolder, 'agent.json'));
  return existsSync(ofService) ? ofService : own;
};

/** systemd names one; root has a place of its own; anybody else a folder at home. */
const stateFolderOf = ({ env, folders }: Context): string => {
  const [ofService] = (env.STATE_DIRECTORY ?? '').split(':'); // systemd.exec(5)
  if (ofService?.startsWith('/') === true) return ofService;
  if (process.getuid?.() === 0) return SYSTEM_FOLDER;
  const stateHome = env.XDG_STATE_HOME;
  return join(stateHome?.startsWith('/') === true ? stateHome : join(folders.home, '.local', 'state'), 'asbb');
};
