// Whether what is to be packed was built from the sources as they are.
import { existsSync, readFileSync } from 'node:fs';
import { BINDING, distStamp, hashOfJavaScript, hashOfRust, REPOSITORY } from './sources.mjs';

/** Throws, with the command that helps, when dist/ is missing or older than lib/. */
export function checkDist(binding = BINDING) {
  const stamp = distStamp(binding);
  if (!existsSync(stamp)) throw new Error('there is no dist/: run `make pack`, which builds it');
  if (readFileSync(stamp, 'utf8') !== hashOfJavaScript(binding)) throw new Error('dist/ was built from other sources than lib/ has now: run `make pack`, which builds it again');
}

/** Throws when the addon of a target is missing, or was built from other sources. */
export function checkAddon({ name, addon }, repository = REPOSITORY) {
  if (!existsSync(addon) || !existsSync(`${addon}.json`)) throw new Error(`there is no addon for ${name}: run \`make pack TARGETS=${name}\`, which builds it`);
  if (JSON.parse(readFileSync(`${addon}.json`, 'utf8')).sources !== hashOfRust(repository)) throw new Error(`the addon for ${name} was built from other sources than there are now: run \`make pack TARGETS=${name}\`, which builds it again`);
}
