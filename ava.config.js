// Unit tests: no network, no servers, no sleeps. `npm run test:unit` compiles first.
export default {
  files: ['lib/**/*.test.ts', 'scripts/**/*.test.ts'],
  typescript: {
    rewritePaths: { 'lib/': 'dist/lib/', 'scripts/': 'dist/scripts/' },
    compile: false,
  },
  nodeArguments: ['--enable-source-maps'],
  timeout: '60s',
};
