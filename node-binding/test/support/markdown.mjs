// Code in Markdown. The info string of a fenced block says what becomes of it: `js file=NAME` is a program, `sh run=NAME`
// starts it (or its first line, a comment, says how), `js beside=NAME` lies beside it under the name in its first line, a
// comment, `sh call=NAME` calls it while it runs, `… fragment=NAME` is a part of
// a program that the tests complete, `js test=RUNNER` is a test that a test runner runs.
import { readFileSync } from 'node:fs';

/** The fenced blocks of a file: { language, kind, name, code, where }. */
export function codeBlocks(file) {
  const lines = readFileSync(file, 'utf8').split('\n');
  const blocks = [];
  for (let open = 0; open < lines.length; open += 1) {
    const [, info] = /^```(.*)$/.exec(lines[open]) ?? [];
    if (info === undefined) continue;
    const close = lines.indexOf('```', open + 1);
    if (close < 0) throw new Error(`${file}:${open + 1}: the block does not end`);
    const [, language, kind, name] = /^(\w*)(?: (\w+)=(\S+))?$/.exec(info) ?? [];
    blocks.push({ language, kind, name, code: `${lines.slice(open + 1, close).join('\n')}\n`, where: `${file}:${open + 1}` });
    open = close;
  }
  return blocks;
}

/** The commands of a block, each with the output that the comments behind it show. */
export function commandsOf(code) {
  const commands = [];
  for (const line of code.trimEnd().split('\n')) {
    if (!line.startsWith('# ')) commands.push({ command: line, shown: [] });
    else commands.at(-1).shown.push(line.slice(2));
  }
  return commands;
}

/** Whether a text is what was shown, in which `…` stands for anything. */
export function isShown(text, shown) {
  const pattern = shown.join('\n').split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^\\n]+');
  return new RegExp(`^${pattern}$`).test(text.trimEnd());
}

/** The text of a file without its blocks of code: there is no link and no heading in them. */
export const proseOf = (file) => readFileSync(file, 'utf8').replace(/^```[^]*?^```$/gm, '');

/** The links of a file that lead to other files of the project, or into itself: { path, anchor }, either of them empty. */
export function linksOf(file) {
  const targets = [...proseOf(file).replace(/`[^`\n]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => {
    const [path, anchor = ''] = target.split('#');
    return { path, anchor };
  });
}

/** The anchors of a file: those that GitHub gives to headings, and those that it has itself. */
export function anchorsOf(file) {
  const seen = new Map();
  const own = [...proseOf(file).matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id);
  return new Set([...own, ...[...proseOf(file).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => {
    const anchor = heading.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-');
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  })]);
}
