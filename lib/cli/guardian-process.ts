import { guard, type GuardianOptions } from './guardian.ts';

guard(JSON.parse(process.argv[2] ?? '{}') as GuardianOptions);
