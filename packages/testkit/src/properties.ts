import fc from 'fast-check';

/**
 * Random cases for the tests of this repository, the same ones in every run: a verdict is about the code and not about luck.
 * `OMG_PROPERTY_SEED=<number>` looks for other ones.
 */
const SEED = Number(process.env['OMG_PROPERTY_SEED'] ?? 20_261_123);

fc.configureGlobal({ seed: SEED });

export { fc };

/** A small generator of numbers from 0 up to 1, in the place of `Math.random`. */
export function seeded(seed = SEED): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
