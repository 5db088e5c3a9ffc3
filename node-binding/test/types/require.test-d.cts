// What a user of `require` sees.
import fasttunnel = require('fasttunnel');
import runner = require('fasttunnel/runner');

async function main(): Promise<void> {
  const tunnel = await fasttunnel.fastTunnel({ auth: { allowAnonymous: true }, tasks: { add: ({ a, b }: { a: number; b: number }) => a + b } });
  const call: (input: { a: number; b: number }) => Promise<number> = (undefined as never) as fasttunnel.TasksOf<typeof tunnel>['add'];
  void call;
  const version: string = runner.loadRunner().version;
  await tunnel.close();
  console.log(version);
}
void main();
