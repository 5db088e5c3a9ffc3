// HAProxy of Debian.
import { findProgram } from './debian.mjs';

/** `{ path, env }` of a HAProxy that starts; throws when there is none to be had. */
export const findHaproxy = () => findProgram({ name: 'haproxy', packages: ['haproxy', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1'], at: 'usr/sbin/haproxy' });
