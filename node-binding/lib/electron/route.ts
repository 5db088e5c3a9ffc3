import { createHash } from 'node:crypto';
import { asList, fail } from '../options/checks.js';
import type { ProxyRoute } from '../proxy/types.js';

/** Domains below which workspaces are. */
const DOMAINS: readonly string[] = ['cmux.app', 'cmux.sh', 'cmux.dev', 'cmux.local', 'cmux.localhost', 'autobuild.app'];

/**
 * The workspace that a page is of: `cmux-<morphId>-<scope>-<port>.<domain>`, or `port-<port>-morphvm-<morphId>.<domain>`.
 * `undefined` for other pages. `domains` are further ones below which pages of the first form are.
 */
export function previewRoute(url: string, domains: readonly string[] = []): ProxyRoute | undefined {
  const known = [...DOMAINS, ...asDomains(domains)];
  const host = hostOf(url);
  const [label, ...rest] = host.split('.');
  const domain = rest.join('.');
  const morph = /^port-\d{1,5}-morphvm-(.+)$/.exec(label!);
  if (morph !== null && domain !== '') return { morphId: morph[1]!, scope: 'base', domainSuffix: DOMAINS[0]!, morphDomainSuffix: `.${domain}` };
  // The last two parts are the scope and the port; whatever is before them is the workspace's.
  const cmux = /^cmux-(.+)-([^-]+)-(\d{1,5})$/.exec(label!);
  if (cmux === null || !known.includes(domain)) return undefined;
  return { morphId: cmux[1]!, scope: cmux[2]!, domainSuffix: domain };
}

/** As they are in hosts of URLs. */
function asDomains(value: unknown): string[] {
  return asList('domains', value, (option, domain) => {
    if (typeof domain !== 'string' || !/^[a-z\d-]+(?:\.[a-z\d-]+)*$/i.test(domain)) fail(option, domain, 'must be a domain without a dot before it', "Write for example 'previews.example.com'.");
    return domain.toLowerCase();
  });
}

/** The host of a page; empty where that is no URL. */
export function hostOf(url: string): string {
  try {
    return new URL(url).hostname.toLowerCase();
  } catch {
    return '';
  }
}

/** The partition of sessions that keeps what a view keeps under this key; `null` without one. */
export function previewPartition(persistKey: string): string;
export function previewPartition(persistKey: string | null | undefined): string | null;
export function previewPartition(persistKey: string | null | undefined): string | null {
  if (persistKey === undefined || persistKey === null) return null;
  return `persist:cmux-preview-${createHash('sha256').update(persistKey).digest('hex').slice(0, 24)}`;
}
