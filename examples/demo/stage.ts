/** What every act of the demo has at hand. */
import type { EtcdServer } from '../../integration/servers/etcd-server.ts';
import type { Books } from './accounts.ts';
import type { Crew } from './crew.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Reports } from './reports.ts';
import type { RollCall } from './roll-call.ts';
import type { Timeline } from './timeline.ts';
import type { Witness } from './witness.ts';

export interface Stage {
  readonly etcd: EtcdServer;
  readonly books: Books;
  readonly crew: Crew;
  readonly dispatcher: Dispatcher;
  readonly reports: Reports;
  readonly rollCall: RollCall;
  readonly witness: Witness;
  readonly timeline: Timeline;
  /** How many transfers to let pass before one is disturbed. */
  readonly patience: () => number;
  readonly signal: AbortSignal;
}
