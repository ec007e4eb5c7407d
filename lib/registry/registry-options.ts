import {
  expectDuration,
  expectFunction,
  expectGivenOptions,
  expectOptions,
  expectSignal,
  expectText,
  expectWholeNumber,
  show,
} from '../arguments.ts';
import { completeStaleness, type Staleness, type StalenessOptions } from '../replica/staleness.ts';

/** How old what is known of the members may be. */
export type RegistryOptions = StalenessOptions;

/** How a member is to be registered. */
export interface RegisterOptions {
  /** Where it is to be reached: `http://10.0.0.7:8080`. At most one member has it. */
  readonly address: string;
  /**
   * What else others are to know of it, a version or a zone. With the address at most 4,096 bytes as JSON.
   * @default {}
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * Whether it can be given work now. It can if this returns or resolves, to anything but `false`, within `checkTimeoutMs`. While it cannot,
   * it is not registered.
   * @default none: it is ready from the beginning
   */
  readonly check?: ((context: { readonly signal: AbortSignal }) => unknown) | undefined;
  /**
   * Between two checks, in milliseconds, less up to a tenth.
   * @default 5_000
   */
  readonly checkEveryMs?: number | undefined;
  /**
   * How long one check may take before it counts as failed, in milliseconds.
   * @default 2_000
   */
  readonly checkTimeoutMs?: number | undefined;
  /**
   * So many checks have to fail in a row before a member that is registered is withdrawn.
   * @default 2
   */
  readonly unreadyAfter?: number | undefined;
  /** Leaves when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

export interface CompleteRegisterOptions {
  readonly address: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly check: ((context: { readonly signal: AbortSignal }) => unknown) | undefined;
  readonly checkEveryMs: number;
  readonly checkTimeoutMs: number;
  readonly unreadyAfter: number;
  readonly signal: AbortSignal | undefined;
}

/** Throws a TypeError or RangeError that names what is wrong. */
export function completeRegistryOptions(options: RegistryOptions): Staleness {
  expectOptions('registry', options, ['maxStalenessMs', 'onStale', 'freshnessMs']);
  return completeStaleness(options);
}

/** Throws a TypeError or RangeError that names what is wrong. */
export function completeRegisterOptions(options: RegisterOptions): CompleteRegisterOptions {
  expectGivenOptions('register', options, [
    'address',
    'metadata',
    'check',
    'checkEveryMs',
    'checkTimeoutMs',
    'unreadyAfter',
    'signal',
  ]);
  const { metadata = {}, check, checkEveryMs = 5_000, checkTimeoutMs = 2_000, unreadyAfter = 2 } = options;
  if (check !== undefined) expectFunction('check', check);
  return {
    address: expectText('address', options.address),
    metadata: expectMetadata(metadata),
    check,
    checkEveryMs: expectDuration('checkEveryMs', checkEveryMs, 1),
    checkTimeoutMs: expectDuration('checkTimeoutMs', checkTimeoutMs, 1),
    unreadyAfter: expectWholeNumber('unreadyAfter', unreadyAfter, 1, 1_000),
    signal: expectSignal(options.signal),
  };
}

/** A copy: what the caller does with its object later changes nothing here. */
export function expectMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new TypeError(`Expected metadata to be an object of texts, got ${show(metadata)}`);
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new TypeError(`Expected the metadata ${JSON.stringify(name)} to be text, got ${show(value)}`);
    }
  }
  return { ...metadata };
}
