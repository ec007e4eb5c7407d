import { long } from './suites.js';

// Integration tests run against real servers. Child processes instead of worker threads, since they send signals to
// servers of their own; two files at a time, since every file starts servers beside itself.
export default {
  files: ['integration/**/*.test.ts', ...long.map((file) => `!${file}`)],
  typescript: {
    rewritePaths: { 'integration/': 'dist/integration/' },
    compile: false,
  },
  nodeArguments: ['--enable-source-maps'],
  workerThreads: false,
  concurrency: 2,
  timeout: '120s',
};
