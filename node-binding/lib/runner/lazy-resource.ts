/**
 * A resource that is defined when it is first touched, because Runner is an optional peer: to import the module of one does not
 * load it, to use the resource without it throws a RunnerPeerError that says what to install.
 */
export function lazyResource<Resource extends object>(define: () => Resource): Resource {
  let defined = false;
  const materialised = (target: Resource): Resource => {
    if (!defined) {
      Object.defineProperties(target, Object.getOwnPropertyDescriptors(define()));
      defined = true;
    }
    return target;
  };
  return new Proxy({} as Resource, {
    get: (target, key) => Reflect.get(materialised(target), key) as unknown,
    has: (target, key) => Reflect.has(materialised(target), key),
    set: (target, key, value) => Reflect.set(materialised(target), key, value),
    ownKeys: (target) => Reflect.ownKeys(materialised(target)),
    getOwnPropertyDescriptor: (target, key) => Reflect.getOwnPropertyDescriptor(materialised(target), key),
    defineProperty: (target, key, descriptor) => Reflect.defineProperty(materialised(target), key, descriptor),
    deleteProperty: (target, key) => Reflect.deleteProperty(materialised(target), key),
  });
}
