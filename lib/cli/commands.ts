import { cacheGet } from './cache/get.ts';
import { cacheWatch } from './cache/watch.ts';
import type { Command } from './command.ts';
import { configDelete } from './config/delete.ts';
import { configGet } from './config/get.ts';
import { configHistory } from './config/history.ts';
import { configRollback } from './config/rollback.ts';
import { configRollout } from './config/rollout.ts';
import { configSet } from './config/set.ts';
import { configWatch } from './config/watch.ts';
import { demo } from './demo/demo.ts';
import { dev } from './dev.ts';
import { doctor } from './doctor/doctor.ts';
import { elect } from './elect.ts';
import { epochGet, epochSet } from './epoch.ts';
import { lock } from './lock.ts';
import { scheduleHistory } from './schedule/history.ts';
import { scheduleList } from './schedule/list.ts';
import { schedulePause, scheduleResume } from './schedule/pause.ts';
import { scheduleTrigger } from './schedule/trigger.ts';
import { status } from './status.ts';
import { ui } from './ui/ui.ts';

/** All of them, in the order of the help. */
export const commands: readonly Command[] = [
  lock,
  elect,
  status,
  ui,
  doctor,
  configGet,
  configSet,
  configDelete,
  configWatch,
  configHistory,
  configRollback,
  configRollout,
  cacheGet,
  cacheWatch,
  scheduleList,
  scheduleHistory,
  scheduleTrigger,
  schedulePause,
  scheduleResume,
  epochGet,
  epochSet,
  dev,
  demo,
];
