#!/bin/sh
# asbb, run by the first Node that is new enough: a distribution's own may be too old (Debian 12 has 18), while a newer one
# stands beside it. ASBB_NODE names the one to take.
found=
for node in ${ASBB_NODE:-/usr/bin/node node /usr/local/bin/node /usr/bin/node-24 /usr/bin/node-22 /usr/bin/node-20}; do
	version=$("$node" --version 2>/dev/null) || continue
	major=${version#v}
	[ "${major%%.*}" -ge 20 ] 2>/dev/null && exec "$node" /usr/lib/asbb/asbb.js "$@"
	case $found in *"$version"*) ;; *) found="${found:+$found, }$node is $version" ;; esac
done
echo "asbb: no Node 20 or newer was found${found:+ ($found)}: install one, or name it in ASBB_NODE" >&2
exit 1
