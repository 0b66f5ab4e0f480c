#!/usr/bin/env node
// What an installed `asbb` starts with. An old Node can read this file, so that it is told of before it stumbles over the rest.
const version = process.versions.node;
if (Number(version.split('.')[0]) >= 20) {
  import('./main.js');
} else {
  console.error(`asbb: Node ${version} (${process.execPath}) is too old: install Node 20 or newer`);
  process.exitCode = 1;
}
