/**
 * Looks at a namespace once a second, for as long as it runs and whoever watches: one transaction through raft. What is shown is what the last
 * look saw that was answered, with its age. The values of configs are read only where they are to be shown.
 */
import type { Coordinator } from '../../coordinator.ts';
import { CoordinationUnavailableError } from '../../errors.ts';
import { elapsedMs, sleep, type Clock, type Instant } from '../../runtime/clock.ts';
import type { Members } from '../members.ts';
import { portray, shownMember } from './portrait.ts';
import { Terms } from './terms.ts';
import { Values } from './values.ts';
import type { Pulse, ShownMember, View } from './view.ts';

const LOOK_MS = 1_000;
const PULSE_MS = 1_000;

/** The members of etcd, each asked by itself, change seldom. */
const ASK_MEMBERS_MS = 5_000;
const MEMBER_MS = 2_000;

export interface ObservatoryOptions {
  readonly namespace: string;
  readonly showsValues: boolean;
  /** Called every second, and after each look, answered or not. */
  readonly onPulse: () => void;
}

export class Observatory {
  readonly #clock: Clock;
  readonly #coordinator: Coordinator;
  readonly #members: Members;
  readonly #options: ObservatoryOptions;
  readonly #terms = new Terms();
  /** Where they are to be shown. */
  readonly #values: Values | undefined;
  #shownMembers: readonly ShownMember[] = [];
  #view: View | undefined;
  #seenAt: Instant | undefined;
  #revision: bigint | undefined;
  #failure: Pulse['failure'];

  constructor(clock: Clock, coordinator: Coordinator, members: Members, options: ObservatoryOptions) {
    this.#clock = clock;
    this.#coordinator = coordinator;
    this.#members = members;
    this.#options = options;
    this.#values = options.showsValues ? new Values(coordinator) : undefined;
  }

  /** What was seen last; `undefined`: nothing yet. */
  get view(): View | undefined {
    return this.#view;
  }

  get pulse(): Pulse {
    const now = this.#clock.now();
    return {
      nowMs: now.wallMs,
      health: this.#coordinator.health.state,
      ...(this.#seenAt === undefined ? {} : { ageMs: Math.round(elapsedMs(this.#seenAt, now)) }),
      ...(this.#revision === undefined ? {} : { revision: this.#revision.toString() }),
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
      members: this.#shownMembers,
    };
  }

  /** Looks until the signal aborts. Never rejects. */
  async look(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#every(LOOK_MS, signal, () => this.#lookOnce(signal)),
      this.#every(ASK_MEMBERS_MS, signal, () => this.#askMembers(signal)),
      /* By itself: a look that is not answered takes long, and whoever hears nothing from here is to know that it is us who are silent. */
      this.#every(PULSE_MS, signal, this.#options.onPulse),
    ]);
  }

  async #every(pauseMs: number, signal: AbortSignal, act: () => Promise<void> | void): Promise<void> {
    while (!signal.aborted) {
      await act();
      await sleep(this.#clock, pauseMs, signal).catch(() => {});
    }
  }

  async #lookOnce(signal: AbortSignal): Promise<void> {
    const beganAt = this.#clock.now();
    const { namespace } = this.#options;
    const values = this.#values;
    try {
      const survey = await this.#coordinator.survey({ signal });
      this.#terms.see(survey.queues, beganAt.wallMs);
      values?.see(survey.configs, signal);
      this.#view = portray({
        namespace,
        survey,
        elections: this.#terms.elections,
        watchedSinceMs: this.#terms.sinceMs ?? beganAt.wallMs,
        valueOf: values && ((name) => values.of(name)),
      });
      this.#seenAt = beganAt;
      this.#revision = survey.revision;
      this.#failure = undefined;
    } catch (error) {
      this.#failure = {
        isOutage: error instanceof CoordinationUnavailableError,
        message: (error as Error).message,
      };
    }
    this.#options.onPulse();
  }

  async #askMembers(signal: AbortSignal): Promise<void> {
    this.#shownMembers = (await this.#members.ask(MEMBER_MS, signal)).map(shownMember);
  }
}
