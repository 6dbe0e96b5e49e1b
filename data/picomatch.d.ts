// Types of what corpora use of picomatch, which has none of its own.
declare module 'picomatch' {
  function picomatch(pattern: string): (path: string) => boolean;
  namespace picomatch {
    /** `base`: the folders before the first wildcard, without a slash at the end. */
    function scan(pattern: string): { base: string; isGlob: boolean };
  }
  export = picomatch;
}
