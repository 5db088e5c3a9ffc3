/// <reference types="node" preserve="true" />
export { instrument } from './instrument.js';
export type { InstrumentOptions } from './options.js';
