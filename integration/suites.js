// What `npm test` leaves to `npm run test:long`, which CI runs as well: `npm test` is to be done within five minutes on two processors.
export const long = [
  'integration/cache/on-demand.test.ts',
  'integration/cli/under.test.ts',
  'integration/demo.test.ts',
  'integration/differential/differential.test.ts',
  'integration/differential/messages.test.ts',
  'integration/election/cost.test.ts',
  'integration/election/many-faults.test.ts',
  'integration/lock/partition.test.ts',
  'integration/partition/faults.test.ts',
  'integration/replica/cuts.test.ts',
  'integration/replica/partition.test.ts',
  'integration/replica/staleness.test.ts',
  'integration/schedule/failover.test.ts',
  'integration/schedule/year.test.ts',
  'integration/servers/partitions.test.ts',
  'integration/store/model.test.ts',
];
