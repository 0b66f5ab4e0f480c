// The gate before the store: so many calls at once, in order of arrival, and none that comes too late.
import { describe, expect, it } from 'vitest';
import { createGate } from '#adapters/gate';
import { systemClock } from '#adapters/system';
import { StoreContended } from '#app/ports';

const soon = () => systemClock.now() + 10_000;

describe('the gate', () => {
  it('lets in as many as it has places, and then whoever waits longest', async () => {
    const gate = createGate(2);
    const entered: string[] = [];
    const enter = (name: string) => gate.enter(systemClock, soon()).then(() => entered.push(name));
    await Promise.all([enter('first'), enter('second')]);
    const waiting = [enter('third'), enter('fourth')];
    expect(entered).toEqual(['first', 'second']);
    gate.leave();
    await waiting[0];
    expect(entered).toEqual(['first', 'second', 'third']);
    gate.leave();
    await waiting[1];
    expect(entered).toEqual(['first', 'second', 'third', 'fourth']);
  });

  it('turns away, as contended, whoever still waits at the deadline', async () => {
    const gate = createGate(1);
    await gate.enter(systemClock, soon());
    await expect(gate.enter(systemClock, systemClock.now() + 20)).rejects.toBeInstanceOf(StoreContended);
  });

  it('does not lose the place of one that was turned away', async () => {
    const gate = createGate(1);
    await gate.enter(systemClock, soon());
    await expect(gate.enter(systemClock, systemClock.now() + 20)).rejects.toBeInstanceOf(StoreContended);
    const next = gate.enter(systemClock, soon());
    gate.leave();
    await expect(next).resolves.toBeUndefined();
    gate.leave();
    await expect(gate.enter(systemClock, soon())).resolves.toBeUndefined();
  });
});
