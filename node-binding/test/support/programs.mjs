// Programs that tests need and not every machine has.

/** Why `find` finds none here, or false. It is a failure where CI runs. */
export function reasonFor(find) {
  if (process.env.CI) return false;
  try {
    find();
    return false;
  } catch (error) {
    return error.message;
  }
}
