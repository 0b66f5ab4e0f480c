// For a process that a test starts: its time is what a file says, and each id that it makes is the next one.
import crypto from 'node:crypto';
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

let ids = 0;
Date.now = () => Date.parse(readFileSync(process.env.ASBB_TEST_CLOCK, 'utf8'));
crypto.randomUUID = () => `d0000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`;
syncBuiltinESMExports();
