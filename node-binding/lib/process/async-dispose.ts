declare global {
  /**
   * As lib.esnext.disposable and later `@types/node` have it. Said here because the first came with TypeScript 5.2, and
   * a reference to a library that a compiler does not know is an error to it.
   */
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
}

/** Node 20.3 has no Symbol.asyncDispose yet; this is the symbol that later versions and compilers use. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
