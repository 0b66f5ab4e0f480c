import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    coverage: {
      provider: 'v8',
      include: ['lambdas/domain/**', 'lambdas/app/**'],
      exclude: ['lambdas/app/ports.ts'],
      reporter: ['text-summary'],
      thresholds: { branches: 100, lines: 100, functions: 100, statements: 100 },
    },
  },
});
