// What is done to the fleet, one thing after another, while calls come.
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnSync } from 'node:child_process';

const isUp = ({ status }) => status.startsWith('UP');
const allUp = (servers) => servers.every(isUp);

/** A rule of the packet filter, of this network namespace: packets to an address are dropped, in silence. */
const filter = (action, host) => {
  for (const args of [['-d', host], ['-s', host]]) {
    const { status, stderr } = spawnSync('iptables', [action, 'INPUT', ...args, '-j', 'DROP'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`iptables: ${stderr}`);
  }
};

/**
 * By name; each gets the fleet, `{ tunnels, balancer, load, settings, note }`, and may return what it has measured. The load
 * goes on all the time.
 */
export const PHASES = {
  async calm({ settings }) {
    await sleep(settings.calmMs);
  },

  /** As a deployment does it: one at a time, the next when the one before has come back. */
  async rolling({ tunnels, balancer, load, settings }) {
    const before = load.calls.length;
    let restarts = 0;
    do {
      for (const tunnel of tunnels.slice(0, settings.restarted)) {
        await tunnel.restart();
        restarts += 1;
        await balancer.until(allUp, `${tunnel.host} is back`);
      }
    } while (load.calls.length - before < settings.rollingCalls);
    return { restarts };
  },

  async killed({ tunnels, balancer, settings }) {
    await tunnels[0].kill();
    const outMs = await balancer.until((servers) => !isUp(servers[0]), 'the killed one is out');
    await sleep(settings.faultMs / 2);
    await tunnels[0].start();
    await balancer.until(allUp, 'it is back');
    return { outMs };
  },

  /** Nobody refuses, and nobody answers: as when a cable is cut. */
  async cut({ tunnels, balancer, settings }) {
    filter('-A', tunnels[1].host);
    const outMs = await balancer.until((servers) => !isUp(servers[1]), 'the one that is cut off is out');
    await sleep(settings.faultMs);
    filter('-D', tunnels[1].host);
    await balancer.until(allUp, 'it is back');
    return { outMs };
  },

  /** Its sockets take what comes, and nothing reads. */
  async hangs({ tunnels, balancer, settings }) {
    tunnels[2].child.kill('SIGSTOP');
    const outMs = await balancer.until((servers) => !isUp(servers[2]), 'the one that hangs is out');
    await sleep(settings.faultMs);
    tunnels[2].child.kill('SIGCONT');
    await balancer.until(allUp, 'it is back');
    return { outMs };
  },

  /** What two of the three can do: more calls come than that, and the third one is out. */
  async rest({ tunnels, balancer, load, settings }) {
    for (const tunnel of tunnels) await tunnel.setService(settings.slowMs);
    tunnels[2].child.kill('SIGTERM');
    await tunnels[2].ended;
    await balancer.until((servers) => !isUp(servers[2]), 'it is out');
    return await steady(load, settings);
  },

  /** The same with the third one there, which is twenty times as slow. */
  async overloaded({ tunnels, balancer, load, settings }) {
    load.setRate(settings.rate);
    await tunnels[2].start();
    await tunnels[2].setService(settings.slowMs * 20);
    await balancer.until(allUp, 'it is back');
    await sleep(settings.slowStartMs);
    const measured = await steady(load, settings);
    const [one, , three] = await balancer.servers();
    for (const tunnel of tunnels) await tunnel.setService(settings.serviceMs);
    load.setRate(settings.rate);
    return { ...measured, weights: [one.weight, three.weight] };
  },
};

/** Answers a second while more calls come than can be answered. */
async function steady(load, { excessRate, steadyMs }) {
  load.setRate(excessRate);
  await sleep(steadyMs / 4);
  const [from, began] = [load.calls.length, performance.now()];
  await sleep(steadyMs);
  const until = performance.now();
  const answered = load.calls.filter(({ status, doneMs }) => status === 200 && doneMs >= began && doneMs < until).length;
  return { goodput: (answered * 1000) / (until - began), offered: ((load.calls.length - from) * 1000) / (until - began) };
}
