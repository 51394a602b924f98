import { getEventListeners } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import { onAborted, unlessAborted } from '../../infra/signals.ts';

describe('those who wait for a signal', () => {
  test('are called back in the order in which they asked, each once', () => {
    const controller = new AbortController();
    const called: string[] = [];
    for (const name of ['a', 'b', 'c']) onAborted(controller.signal, () => called.push(name));
    controller.abort();
    controller.abort();
    expect(called).toEqual(['a', 'b', 'c']);
  });

  test('are not called back once they have left; one who asked twice leaves twice', () => {
    const controller = new AbortController();
    const callback = vi.fn();
    const leave = onAborted(controller.signal, callback);
    onAborted(controller.signal, callback);
    leave();
    controller.abort();
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('cost the signal one listener, however many they are, and none once all have left', () => {
    const { signal } = new AbortController();
    const listen = vi.spyOn(signal, 'addEventListener');
    const ways = Array.from({ length: 1000 }, () => onAborted(signal, () => undefined));
    expect(listen).toHaveBeenCalledTimes(1);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    for (const leave of ways) leave();
    // A signal made of others would be kept for as long as those may abort.
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('are called back by a signal that all had left before, and by it alone', () => {
    const controller = new AbortController();
    const [gone, stays] = [vi.fn(), vi.fn()];
    const leave = onAborted(controller.signal, gone);
    leave();
    onAborted(controller.signal, stays);
    leave();
    controller.abort();
    expect(gone).not.toHaveBeenCalled();
    expect(stays).toHaveBeenCalledTimes(1);
  });
});

describe('a wait that a signal can end', () => {
  const reason = new Error('enough');

  test('comes to what it waits for', async () => {
    const { signal } = new AbortController();
    await expect(unlessAborted(Promise.resolve(1), signal)).resolves.toBe(1);
    await expect(unlessAborted(Promise.reject(reason), signal)).rejects.toBe(reason);
  });

  test('ends with the reason, and how the rest ends is nobody’s business', async () => {
    const controller = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();
    const waiting = unlessAborted(promise, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    reject(new Error('too late'));
    await expect(unlessAborted(Promise.resolve(1), controller.signal)).rejects.toBe(reason);
  });
});
