// What Stryker runs: the tests of what it mutates and no others, with fewer examples of each law.
//
// Mutants of constants (`ignoreStatic`) are left out there: each would need every test again, and all of them an hour.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{domain,app}/**/*.test.ts'],
    env: { ASBB_PROPERTY_RUNS: '50' },
    testTimeout: 60_000,
  },
});
