import { FACTS_HASH } from './facts.generated.js';

/** An addon of another build would read our tables wrongly. */
function otherBuild(): Error {
  return new Error("fasttunnel's native addon is of another version than its JavaScript. Run `npm install fasttunnel` again, or `make build` in a checkout.");
}

/** Compares what the addon and this package both state: the call table's layout, the ranges of options, names. */
export function checkBuild(addon: { readonly factsHash?: () => string }): void {
  if (typeof addon.factsHash !== 'function' || addon.factsHash() !== FACTS_HASH) throw otherBuild();
}
