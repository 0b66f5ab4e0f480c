// The systemd unit, as systemd itself reads it.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '#test/http/api';

const UNIT = readFileSync(join(import.meta.dirname, '../../cli/agent/asbb-agent.service'), 'utf8');
/** Of systemd's scale from 0 to 100, where a service without any of these options has 96. */
const MOST_EXPOSED = 30;

const analyze = (...args: string[]) => spawnSync('systemd-analyze', args, { encoding: 'utf8' });
const isThere = analyze('--version').status === 0;

/** With a command that exists wherever this is tested. */
const installed = (): string => {
  const folder = temporaryFolder();
  onTestFinished(folder.remove);
  const path = join(folder.path, 'asbb-agent.service');
  writeFileSync(path, UNIT.replace('/usr/bin/asbb agent', '/bin/true agent'));
  return path;
};

describe.skipIf(!isThere)('the unit (skipped where there is no systemd-analyze: Debian has it in systemd)', () => {
  it('is understood, every line of it', () => {
    const { status, stdout, stderr } = analyze('verify', '--man=no', installed());
    expect({ status, said: `${stdout}${stderr}`.trim() }).toEqual({ status: 0, said: '' });
  });

  it('lets the service do little', () => {
    const { status, stdout } = analyze('security', '--offline=true', `--threshold=${MOST_EXPOSED}`, installed());
    expect(status, stdout.split('\n').slice(-3).join('\n')).toBe(0);
  });
});

describe('the unit', () => {
  it.each(['Type=simple', 'ExecStart=/usr/bin/asbb agent', 'Restart=always', 'RestartSec=5', 'User=slurm', 'StateDirectory=asbb'])(
    'says %s',
    (line) => {
      expect(UNIT.split('\n')).toContain(line);
    },
  );
});
