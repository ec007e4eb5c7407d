/** A seed that once showed a bug. */
export interface Find {
  readonly seed: number;
  /** What was wrong, and which test holds it in a few lines. */
  readonly was: string;
}

/**
 * Seeds that found something. The simulation draws differently after each change of its own, so a seed's run is no longer the one that
 * found it; what keeps the bug away is the unit test that is named beside it. They are run first all the same.
 */
export const corpus: readonly Find[] = [
  { seed: 63, was: 'A try was refused because of an acquire that had been given up before it began: line.test.ts.' },
  { seed: 55, was: 'A set of locks went on waiting for its releases after its timeout: lock-set.test.ts.' },
  { seed: 89, was: 'The same, after a refusal while etcd was away.' },
  {
    seed: 233,
    was: 'A deadline was armed for ever, since what was left of it was too little to move the time: session.ts.',
  },
  {
    seed: 681,
    was: 'A waiter hung after a restore whose new writes hid the gap, watching from above the deletion: until-deleted.test.ts.',
  },
  { seed: 286, was: '`lead` rejected while etcd had no space, instead of waiting: election.test.ts.' },
  { seed: 69, was: 'An observer was told twice of one proclamation that arrived twice: observation.ts.' },
  {
    seed: 10958,
    was: 'A cache went back to what a proof had shown to be over, by events under way that led there and back: cache.test.ts.',
  },
  {
    seed: 20_954,
    was: 'After a gap an observer was told of an absence between the parts of one revision: observation.test.ts.',
  },
  {
    seed: 2_473_605_138,
    was: 'A try was refused by a lock that rested and could not be given out any more: lingering.test.ts.',
  },
  {
    seed: 518,
    was: 'A watch opened on a restored store, of which an answer from before the restore knew nothing: replica.test.ts.',
  },
  { seed: 387, was: 'A leader asked for a rest shorter than any timer, without end: trust.test.ts.' },
  {
    seed: 1_322_714_497,
    was: 'A coordinator that closed waited as long as a stop of a schedule before it had wanted to: job.test.ts.',
  },
  { seed: 1_322_714_676, was: 'It waited until others could be told the time: peer-clocks.test.ts.' },
  {
    seed: 269,
    was: 'A newcomer took a queue for free after a restore, by what had gone before it: lookout.test.ts.',
  },
  {
    seed: 2_169_071_205,
    was: 'A config took another version of the same revision for the one that it knew, after a restore: config.test.ts.',
  },
];
