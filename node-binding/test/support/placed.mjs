// Where the tests' tunnels have their shards.

/** The event loop turns the shards of the tests: what needs a shard while JavaScript is blocked comes when that is over. */
export const INLINE = process.env.FASTTUNNEL_TEST_PLACEMENT === 'inline';

/** Where the shards of a tunnel with these options run: FASTTUNNEL_TEST_PLACEMENT says it, where there may be just one. */
export function placed({ shards = 0 }) {
  const placement = process.env.FASTTUNNEL_TEST_PLACEMENT;
  return placement === undefined || shards > 1 ? {} : { placement };
}
