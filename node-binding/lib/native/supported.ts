// The entries that need the addon import this first: where there can be none, that is said at the import, not at the first
// tunnel.
import { checkPlatform } from './load.js';

checkPlatform();
