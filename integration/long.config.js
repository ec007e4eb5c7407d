import integration from './ava.config.js';
import { long } from './suites.js';

// The long integration tests. One file at a time: some of them measure how stale a reader is while others would starve it.
export default { ...integration, files: long, concurrency: 1, timeout: '240s' };
