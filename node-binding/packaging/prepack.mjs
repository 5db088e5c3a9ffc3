// Run by `npm pack` and `npm publish` in this folder, and refuses them: nothing that is not built goes out; and what is
// built goes out as `make pack` makes it, because npm cannot name the packages of the platforms in a package.json whose
// lock file does not have them.
import { checkAddon, checkDist } from './fresh.mjs';
import { targetsNamed } from './targets.mjs';

try {
  checkDist();
  for (const target of targetsNamed('host')) checkAddon(target);
  throw new Error('this folder is a checkout, not a package: run `make pack`, and publish the files in node-binding/packages');
} catch (error) {
  console.error(`prepack: ${error.message}`);
  process.exitCode = 1;
}
