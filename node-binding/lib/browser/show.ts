/** What `options/show.ts` is to Node.js. */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? `'${value}'` : typeof value === 'object' && value !== null ? jsonOf(value) : String(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

function jsonOf(value: object): string {
  try {
    return JSON.stringify(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
