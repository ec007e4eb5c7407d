import type { Config } from '../../config/config.ts';
import type { Json } from '../../config/schema.ts';
import type { Coordinator } from '../../coordinator.ts';
import type { SurveyedConfig } from '../../survey/survey.ts';

interface Value {
  readonly version: number;
  readonly value: unknown;
}

/** It is read again at the next look. */
const UNREACHED = Symbol('etcd did not answer');

/**
 * The values of configs, each read again when there is another version of it. They are not followed: who follows a config says so in its
 * rollout, and who only looks at it is none of those that serve it.
 */
export class Values {
  readonly #coordinator: Coordinator;
  readonly #values = new Map<string, Value>();
  #isReading = false;

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator;
  }

  /** `undefined`: it is not known, or there is none. */
  of(config: string): unknown {
    return this.#values.get(config)?.value;
  }

  /** Reads what has changed, one after the other, in the background. */
  see(configs: readonly SurveyedConfig[], signal: AbortSignal): void {
    const names = new Set(configs.map(({ name }) => name));
    for (const name of this.#values.keys()) if (!names.has(name)) this.#values.delete(name);
    if (!this.#isReading) void this.#read(configs, signal);
  }

  async #read(configs: readonly SurveyedConfig[], signal: AbortSignal): Promise<void> {
    this.#isReading = true;
    for (const { name, version } of configs) {
      if (this.#values.get(name)?.version === version) continue;
      const value = await this.#valueOf(name, signal);
      if (value !== UNREACHED) this.#values.set(name, { version, value });
    }
    this.#isReading = false;
  }

  async #valueOf(name: string, signal: AbortSignal): Promise<unknown> {
    const config = this.#configOf(name);
    if (config === undefined) return undefined;
    try {
      await config.ready({ signal });
    } catch {
      await config.close();
      return UNREACHED;
    }
    try {
      return config.get()?.value;
    } catch {
      /* What stands there is no version. */
      return undefined;
    } finally {
      await config.close();
    }
  }

  /** `undefined`: no config can have this name, so somebody else has put the key there; or the coordinator has closed. */
  #configOf(name: string): Config<Json, Json> | undefined {
    try {
      return this.#coordinator.config(name);
    } catch {
      return undefined;
    }
  }
}
