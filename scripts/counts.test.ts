import { readFileSync } from 'node:fs';
import test from 'ava';
import { clientFaults } from '../integration/torture/client-faults.ts';
import { etcdFaults } from '../integration/torture/etcd-faults.ts';
import { workloads } from '../integration/torture/history.ts';
import { FAULTS } from '../lib/simulation/faults.ts';
import { mutants } from './mutant-list.ts';

// Numbers that pages tell, with the words around them, made of what they were counted from.

const read = (name: string): string => readFileSync(`docs/${name}.md`, 'utf8');

const WORDS = [
  'none',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
];

/** What a table of the performance page gives for a row. */
function measured(what: string): number {
  const [, row = ''] = read('performance').split(`\n| ${what} | `);
  return Number.parseFloat(row);
}

const targets = [...read('performance').matchAll(/\| (met|\*\*not met\*\*) \|$/gm)].map(([, verdict]) => verdict);
const met = targets.filter((verdict) => verdict === 'met').length;
const bySeeds = mutants.flatMap(({ caughtBy }) => (typeof caughtBy === 'number' ? [caughtBy] : []));
const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly dependencies: object };
const named = Object.keys(dependencies).length;

const told: Readonly<Record<string, readonly string[]>> = {
  'design-review': [
    `under ${FAULTS.length} kinds of faults`,
    `real clusters, ${clientFaults.length + etcdFaults.length} kinds of faults`,
    `, ${WORDS[workloads.length]} workloads,`,
    `| ${mutants.length} mistakes on purpose |`,
    `| ${targets.length - met} of ${targets.length}, listed.`,
    `Heap of a held lock is ${(measured('1000 held locks, TTL 10 s: heap of each') / 1_000).toFixed(1)} kB`,
    `${WORDS[named]} named ones, ${measured('packages that come with it (npm etcd3 alone: 44)')} packages`,
  ],
  verification: [
    `| mistakes on purpose | ${mutants.length} of them`,
    `seeds, ${Math.min(...bySeeds)} to ${Math.max(...bySeeds).toLocaleString('en')}. ${mutants.length - bySeeds.length} are too rare`,
  ],
  performance: [` ${met} of ${targets.length} targets are met`],
};

for (const [name, phrases] of Object.entries(told)) {
  for (const phrase of phrases) {
    test(`${name}.md says what can be counted: “${phrase}”`, (t) => {
      const text = read(name).replaceAll(/\s+/g, ' ').toLowerCase();
      t.true(text.includes(phrase.toLowerCase()), `${name}.md says something else`);
    });
  }
}
