// What `make run-preview` shows: two views ask for the same address, and each sees the workspace that it previews.
import { preview, previews } from './main.mjs';
import { app, View } from './views.mjs';
import { openWorkspaces } from './workspaces.mjs';

const { hosts, ca, close } = await openWorkspaces('red', 'blue');
const proxy = await previews(app, { hosts, ca });
try {
  const [red, blue] = [new View(), new View()];
  await preview(red, 'https://cmux-red-base-5173.cmux.app/', 5173);
  await preview(blue, 'https://cmux-blue-base-5173.cmux.app/', 5173);
  const contexts = [...proxy.stats().contexts].sort((one, other) => (one.id < other.id ? -1 : 1));
  for (const { id, requests, receivedBytes } of contexts) console.log(`${id.replace(/-\d+$/, '')}: ${requests} requests, ${receivedBytes} bytes`);

  red.destroy();
  console.log(`${proxy.stats().contexts.length} context is left when a view is destroyed`);
} finally {
  app.emit('will-quit');
  close();
}
