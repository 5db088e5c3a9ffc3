import { createHash } from 'node:crypto';
import type { ProxyRoute } from '../proxy/types.js';

/** Domains below which workspaces are. */
const DOMAINS: readonly string[] = ['cmux.app', 'cmux.sh', 'cmux.dev', 'cmux.local', 'cmux.localhost', 'autobuild.app'];

/**
 * The workspace that a page is of: `cmux-<morphId>-<scope>-<port>.<domain>`, or `port-<port>-morphvm-<morphId>.<domain>`.
 * `undefined` for other pages.
 */
export function previewRoute(url: string): ProxyRoute | undefined {
  const host = hostOf(url);
  const [label, ...rest] = host.split('.');
  const domain = rest.join('.');
  const morph = /^port-\d{1,5}-morphvm-(.+)$/.exec(label!);
  if (morph !== null && domain !== '') return { morphId: morph[1]!, scope: 'base', domainSuffix: DOMAINS[0]!, morphDomainSuffix: `.${domain}` };
  // The last two parts are the scope and the port; whatever is before them is the workspace's.
  const cmux = /^cmux-(.+)-([^-]+)-(\d{1,5})$/.exec(label!);
  if (cmux === null || !DOMAINS.includes(domain)) return undefined;
  return { morphId: cmux[1]!, scope: cmux[2]!, domainSuffix: domain };
}

function hostOf(url: string): string {
  try {
    return new URL(url).hostname.toLowerCase();
  } catch {
    return '';
  }
}

/** The partition of sessions that keeps what a view keeps under this key. */
export function previewPartition(persistKey: string): string {
  return `persist:cmux-preview-${createHash('sha256').update(persistKey).digest('hex').slice(0, 24)}`;
}
