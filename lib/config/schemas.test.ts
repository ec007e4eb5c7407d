import test from 'ava';
import * as v from 'valibot';
import { z } from 'zod';
import { ConfigInvalidError } from '../errors.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import type { StandardSchema } from './schema.ts';
import type { DeepReadonly } from './value.ts';

/** What is written: a number may be left out, and a duration is text. */
interface Input {
  readonly perMinute?: number | undefined;
  readonly window: string;
  readonly hosts: { readonly name: string }[];
}

/** What is read: the default is filled in, and the duration is a number of milliseconds. */
interface Output {
  perMinute: number;
  window: number;
  hosts: { name: string }[];
}

const milliseconds = (text: string): number => Number(text.slice(0, -1)) * 1_000;

const zodSchema = z.object({
  perMinute: z.number().positive().default(60),
  window: z
    .string()
    .regex(/^\d+s$/)
    .transform(milliseconds),
  hosts: z.array(z.object({ name: z.string() })),
});

const valibotSchema = v.object({
  perMinute: v.optional(v.pipe(v.number(), v.minValue(1)), 60),
  window: v.pipe(v.string(), v.regex(/^\d+s$/), v.transform(milliseconds)),
  hosts: v.array(v.object({ name: v.string() })),
});

/** `true` only for types that can stand for each other, down to what is optional. */
type Same<A, B> = [A, B] extends [B, A] ? true : false;

const schemas: readonly [string, StandardSchema<Input, Output>][] = [
  ['zod', zodSchema],
  ['valibot', valibotSchema],
];

for (const [name, schema] of schemas) {
  test(`with ${name}, set takes the schema's input and get gives its output, in every process`, async (t) => {
    const world = new VirtualWorld();
    const writer = (await world.connect()).coordinator.config('limits', { schema });
    const reader = (await world.connect()).coordinator.config('limits', { schema });
    await world.settle(Promise.all([writer.ready(), reader.ready()]));
    const entry = await world.settle(writer.set({ window: '5s', hosts: [{ name: 'a' }] }));
    await world.advance(100);
    const output = { perMinute: 60, window: 5_000, hosts: [{ name: 'a' }] };
    t.deepEqual(entry.value, output);
    t.deepEqual(writer.get()?.value, output);
    t.deepEqual(reader.get()?.value, output);
    t.true(Object.isFrozen(reader.get()?.value.hosts[0]));
  });

  test(`with ${name}, history and rollback keep what was written, not what the schema made of it`, async (t) => {
    const world = new VirtualWorld();
    const limits = (await world.connect()).coordinator.config('limits', { schema });
    await world.settle(limits.ready());
    await world.settle(limits.set({ window: '5s', hosts: [] }));
    await world.settle(limits.set({ perMinute: 7, window: '6s', hosts: [] }));
    const past = await world.settle(limits.history());
    t.deepEqual(
      past.map(({ value }) => value),
      [
        { perMinute: 7, window: '6s', hosts: [] },
        { window: '5s', hosts: [] },
      ],
    );
    t.is((await world.settle(limits.rollback(1))).version, 3);
    t.deepEqual(limits.get()?.value, { perMinute: 60, window: 5_000, hosts: [] });
  });

  test(`with ${name}, an update is given the output and sets the input`, async (t) => {
    const world = new VirtualWorld();
    const limits = (await world.connect()).coordinator.config('limits', { schema });
    await world.settle(limits.ready());
    await world.settle(limits.set({ window: '5s', hosts: [] }));
    const next = await world.settle(
      limits.update((current) => ({
        perMinute: (current?.perMinute ?? 0) + 1,
        window: `${(current?.window ?? 0) / 1_000 + 1}s`,
        hosts: [],
      })),
    );
    t.deepEqual(next.value, { perMinute: 61, window: 6_000, hosts: [] });
  });

  test(`with ${name}, what is not valid is refused with its paths and without its values`, async (t) => {
    const world = new VirtualWorld();
    const limits = (await world.connect()).coordinator.config('limits', { schema });
    await world.settle(limits.ready());
    await world.settle(limits.set({ window: '5s', hosts: [] }));
    const hosts = [{ name: 'a' }, { name: 1_234_567 as unknown as string }];
    const error = await t.throwsAsync(world.settle(limits.set({ perMinute: -7_654_321, window: '5s', hosts })), {
      instanceOf: ConfigInvalidError,
    });
    t.regex(error.message, /not valid under its schema at perMinute, hosts\[1\]\.name\./);
    t.notRegex(error.message, /1234567|7654321/);
    t.regex(String(error.cause), /perMinute: .*; hosts\[1\]\.name: /);
    t.is(limits.get()?.version, 1);
  });

  test(`with ${name}, a fallback is an input too`, async (t) => {
    const world = new VirtualWorld();
    const { coordinator } = world.start();
    const limits = coordinator.config('limits', { schema, fallback: { window: '1s', hosts: [] } });
    t.deepEqual(limits.get()?.value, { perMinute: 60, window: 1_000, hosts: [] });
    t.throws(() => coordinator.config('limits', { schema, fallback: { window: 'long', hosts: [] } }), {
      instanceOf: ConfigInvalidError,
    });
    await world.settle(coordinator.close());
  });
}

test('types follow from the schema alone: get gives its output, read-only, and set takes its input', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = world.start();
  const byZod = coordinator.config('limits', { schema: zodSchema });
  const byValibot = coordinator.config('limits', { schema: valibotSchema });

  const read: [
    Same<NonNullable<ReturnType<typeof byZod.get>>['value'], DeepReadonly<z.output<typeof zodSchema>>>,
    Same<NonNullable<ReturnType<typeof byValibot.get>>['value'], DeepReadonly<v.InferOutput<typeof valibotSchema>>>,
  ] = [true, true];
  const written: [
    Same<Parameters<typeof byZod.set>[0], z.input<typeof zodSchema>>,
    Same<Parameters<typeof byValibot.set>[0], v.InferInput<typeof valibotSchema>>,
  ] = [true, true];
  t.deepEqual([...read, ...written], [true, true, true, true]);

  const neverCalled = [
    // @ts-expect-error: the output is not the input
    () => byZod.set({ perMinute: 1, window: 5_000, hosts: [] }),
    // @ts-expect-error: the output is not the input
    () => byValibot.set({ perMinute: 1, window: 5_000, hosts: [] }),
    (hosts: NonNullable<ReturnType<typeof byZod.get>>['value']['hosts']) => {
      // @ts-expect-error: what is read cannot be changed
      hosts[0] = { name: 'b' };
    },
  ];
  t.is(neverCalled.length, 3);
  await world.settle(coordinator.close());
});

test('a schema that has to wait is refused: config is read without waiting', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const schema = z.object({ a: z.string().refine(async () => true) });
  const config = coordinator.config('waiting', { schema });
  await t.throwsAsync(world.settle(config.set({ a: 'b' })), { instanceOf: TypeError, message: /synchronous/ });
  await world.settle(coordinator.close());
});
