// How ES modules are loaded again: with another URL, which they hand on to what they import. Node keeps the old ones.
import * as nodeModule from 'node:module';
import { MessageChannel } from 'node:worker_threads';

/** Query of a module's URL that says which load it belongs to. */
export const MARK = 'fasttunnel';

interface Resolved {
  url: string;
  [more: string]: unknown;
}
interface Context {
  parentURL?: string;
  conditions?: readonly string[];
}

/** Node has the first since 22.15, the second since 18.19 and 20.6. */
type Hooks = {
  registerHooks?: (hooks: { resolve: (specifier: string, context: Context, next: (specifier: string, context: Context) => Resolved) => Resolved }) => void;
  register?: (url: string, options: { data: unknown; transferList: unknown[] }) => void;
};

/** Marks a URL as its parent is marked. Self-contained: its text is run on another thread as well. */
function marked(url: string, parent: string | undefined, mark: string): string {
  if (!url.startsWith('file:') || url.includes('/node_modules/')) return url;
  const load = new RegExp('[?&]' + mark + '=(\\d+)').exec(parent ?? '');
  return load === null || url.includes('?') ? url : url + '?' + mark + '=' + load[1];
}

/**
 * Sees to it that what a marked module imports is marked as well, and tells of every file that is imported. Where Node
 * has no hooks, the module alone is loaded again.
 */
export function markImports(imported: (url: string) => void): void {
  const { registerHooks, register } = nodeModule as Hooks;
  if (registerHooks !== undefined) {
    registerHooks({
      resolve(specifier, context, next) {
        const resolved = next(specifier, context);
        // `require` has a cache by files.
        if (context.conditions?.includes('require') === true || !resolved.url.startsWith('file:')) return resolved;
        imported(resolved.url);
        return { ...resolved, url: marked(resolved.url, context.parentURL, MARK) };
      },
    });
  } else if (register !== undefined) {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', imported);
    port1.unref();
    register(`data:text/javascript,${encodeURIComponent(HOOK_MODULE)}`, { data: { port: port2 }, transferList: [port2] });
  }
}

const HOOK_MODULE = `
${marked.toString()}
let port;
export const initialize = (data) => { port = data.port; };
export const resolve = async (specifier, context, next) => {
  const resolved = await next(specifier, context);
  if (resolved.url.startsWith('file:')) port.postMessage(resolved.url);
  return { ...resolved, url: marked(resolved.url, context.parentURL, ${JSON.stringify(MARK)}) };
};`;
