// The types of the addon as lib/native/addon.ts has them, beside those that napi-derive writes from the Rust sources: the
// first may be narrower (a string of three is a string), and have the same names.
import type { addon, NativeAllow, NativeHandler, NativeOptions, NativeTunnel } from '../../dist/cjs/native/addon.js';
import type * as Generated from './addon.generated.js';

/** Fails unless it is given none. */
type None<Names extends never> = Names;

/** Names that one of two types has, and the other has not. */
type Missing<A, B> = Exclude<keyof A, keyof B> | Exclude<keyof B, keyof A>;

/** Members whose type is none of the addon's: methods take what it takes, and return what it returns. */
type Misfit<Ours, Theirs> = {
  [Name in keyof Ours & keyof Theirs]: Ours[Name] extends (...args: infer Takes) => infer Returns
    ? Theirs[Name] extends (...args: infer Taken) => infer Returned
      ? [Takes, Returns] extends [Taken, Returned] ? never : Name
      : Name
    : Ours[Name] extends Theirs[Name] ? never : Name;
}[keyof Ours & keyof Theirs];

export type Tunnel = None<Missing<NativeTunnel, Generated.NativeTunnel> | Misfit<NativeTunnel, Generated.NativeTunnel>>;
export type Handler = None<Missing<NativeHandler, Generated.NativeHandler> | Misfit<NativeHandler, Generated.NativeHandler>>;
export type Allow = None<Missing<NativeAllow, Generated.NativeAllow> | Misfit<NativeAllow, Generated.NativeAllow>>;
export type Options = None<Missing<NativeOptions, Generated.NativeOptions> | Misfit<NativeOptions, Generated.NativeOptions>>;
export type Cors = None<Missing<NonNullable<NativeOptions['cors']>, Generated.NativeCors> | Misfit<NonNullable<NativeOptions['cors']>, Generated.NativeCors>>;
export type Limits = None<Missing<NativeOptions['limits'], Generated.NativeLimits> | Misfit<NativeOptions['limits'], Generated.NativeLimits>>;

/** What the module itself exports; it may have more, for other parts of the package. */
type Exports = typeof Generated;
type Ours = ReturnType<typeof addon>;
export type Functions = None<Exclude<keyof Ours, keyof Exports> | Misfit<Omit<Ours, 'NativeTunnel'>, Exports>>;
export type Constructor = None<[ConstructorParameters<Ours['NativeTunnel']>] extends [ConstructorParameters<Exports['NativeTunnel']>] ? never : 'constructor'>;
