#!/bin/sh
# The release of Slurm whose headers are installed, like 22.05.8. The headers have it as a number only: 0x160508.
set -eu
number=$(sed -n 's/^#define SLURM_VERSION_NUMBER \(0x[0-9a-fA-F]*\).*/\1/p' "${1:-/usr/include}/slurm/slurm_version.h")
printf '%d.%02d.%d\n' $((number >> 16)) $((number >> 8 & 255)) $((number & 255))
