const { bun, deno, node } = process.versions;

export const onBun = bun !== undefined;

/** False on Bun and Deno, which have most of Node's API, but not all of what it does. */
export const onNode = bun === undefined && deno === undefined;

/** False elsewhere. There, to look at what was not allowed asks whoever sits at the terminal. */
export const onDeno = deno !== undefined;

/** Name and version of what runs us. */
export const runtimeName = bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : `Node ${node}`;
