// Packages for RHEL and its kin, Fedora and Amazon Linux, by rpmbuild alone.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Packaging, packageVersion } from '#cli/packaging/deb';
import { type PackageLayout, writeLayout } from '#cli/packaging/layout';

/** Both packages, of one spec. @returns the files' paths */
export const buildRpms = (packaging: Packaging, layouts: { readonly command: PackageLayout; readonly agent: PackageLayout }): string[] => {
  const { output, scratch, sourceDateEpoch } = packaging;
  const folder = join(scratch, 'rpm');
  rmSync(folder, { recursive: true, force: true });
  const files = join(folder, 'files');
  mkdirSync(files, { recursive: true });
  writeLayout(files, layouts.command);
  writeLayout(files, layouts.agent);
  const spec = join(folder, 'asbb.spec');
  writeFileSync(spec, specOf(packageVersion(packaging.version), files, layouts));
  const definitions = {
    _topdir: folder,
    _buildhost: 'localhost',
    _binary_payload: 'w9.gzdio', // Which every rpm can read.
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    __os_install_post: '%{nil}',
  };
  const defines = Object.entries(definitions).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  execFileSync('rpmbuild', ['-bb', '--quiet', '--target', 'noarch', ...defines, spec], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: sourceDateEpoch },
  });
  const built = join(folder, 'RPMS/noarch');
  return readdirSync(built).map((name) => {
    renameSync(join(built, name), join(output, name));
    return join(output, name);
  });
};

const filesOf = ({ files, configFiles, licences }: PackageLayout): string =>
  [...files]
    .map(([path, { mode }]) => {
      const mark = configFiles.includes(path) ? '%config(noreplace) ' : licences.includes(path) ? '%license ' : '';
      return `%attr(${mode.toString(8)}, root, root) ${mark}${path}`;
    })
    .join('\n');

/**
 * Node is only recommended: it is `nodejs` in one distribution, `nodejs22` in another, a tarball in a third; the launcher looks
 * for it. Its epoch is 1 in RHEL, without which any version would do.
 */
const specOf = (version: string, source: string, { command, agent }: { command: PackageLayout; agent: PackageLayout }): string => `\
Name: asbb
Version: ${version}
Release: 1
Summary: Gate in front of the money that a Slurm cluster spends on AWS
License: Apache-2.0
BuildArch: noarch
AutoReqProv: no
Requires: /bin/sh
Recommends: nodejs >= 1:20

%description
The command asbb: accounts with a budget, quotes of jobs, holds, usage, and the whole service on one machine to try it.
It needs Node 20 or newer.

%package agent
Summary: Tells the budget API what became of each Slurm job
AutoReqProv: no
Requires: asbb = %{version}-%{release}

%description agent
A systemd service for the head node, asbb-agent. It binds holds to jobs, settles each run at its real cost, and gives back what
no job will use. Installing it starts nothing.

%install
cp -a ${source}/. %{buildroot}/

%files
%dir /etc/asbb
%dir /usr/lib/asbb
${filesOf(command)}

%files agent
${filesOf(agent)}

# Not enabled here: the agent wants its configuration first. An upgrade restarts one that runs.
%post agent
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi

%preun agent
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then systemctl --no-reload disable --now asbb-agent.service || :; fi

%postun agent
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
	[ "$1" = 0 ] || systemctl try-restart asbb-agent.service || :
fi
`;
