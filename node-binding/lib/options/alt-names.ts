// The alternative names of certificates, as node:crypto writes them into one text.

/** `subjectAltName` of an X509Certificate in its parts, each with its kind before it: `DNS:a.test`, `URI:spiffe://a/b`. */
export function altNamesOf(text: string | undefined): string[] {
  const parts = text?.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return parts.map((part) => {
    const [kind, quoted] = part.trim().split(/:(?=")/);
    // A name that could be read as several is quoted, as JSON is.
    return quoted === undefined ? kind! : `${kind}:${JSON.parse(quoted) as string}`;
  });
}

/** Names of hosts among them, in lower case; `*.` stands for one label. */
export function hostNamesOf(text: string | undefined): string[] {
  const names = altNamesOf(text).filter((name) => name.startsWith('DNS:'));
  return names.map((name) => name.slice('DNS:'.length).toLowerCase()).filter(isHostName);
}

export function isHostName(name: string): boolean {
  return name.length <= 253 && /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/.test(name);
}
