import { describe, expect, it } from '@jest/globals';
import { Cancellation } from './cancellation.js';

describe('a cancellation', () => {
  it('tells each listener once, with the first reason', () => {
    const cancellation = new Cancellation();
    const heard: unknown[] = [];
    for (const name of ['a', 'b']) cancellation.addEventListener('abort', () => heard.push([name, cancellation.aborted, cancellation.reason]));
    cancellation.abort('first');
    cancellation.abort('second');
    expect(heard).toEqual([
      ['a', true, 'first'],
      ['b', true, 'first'],
    ]);
  });

  it('has an error as its reason where none was given', () => {
    const cancellation = new Cancellation();
    cancellation.abort();
    expect(cancellation.reason).toBeInstanceOf(Error);
  });

  it('tells nothing to a listener that was taken off, nor to one that came too late', () => {
    const cancellation = new Cancellation();
    const heard: string[] = [];
    const gone = () => heard.push('gone');
    cancellation.addEventListener('abort', gone);
    cancellation.addEventListener('abort', () => heard.push('there'));
    cancellation.removeEventListener('abort', gone);
    cancellation.abort();
    cancellation.addEventListener('abort', () => heard.push('late'));
    expect(heard).toEqual(['there']);
  });

  it('may lose its listeners while it tells them', () => {
    const cancellation = new Cancellation();
    const heard: string[] = [];
    const second = () => heard.push('second');
    cancellation.addEventListener('abort', () => {
      heard.push('first');
      cancellation.removeEventListener('abort', second);
    });
    cancellation.addEventListener('abort', second);
    expect(() => cancellation.abort()).not.toThrow();
    expect(heard).toEqual(['first', 'second']);
  });
});
