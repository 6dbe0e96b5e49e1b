// A training's record of a divergence it went back from: kept in its state, its artifact and the run's report.
import { z } from 'zod';

export const divergence = z.strictObject({
  /** 0-based step at which something was not finite. */
  step: z.int().nonnegative(),
  /** What it was: the loss, a gradient, a weight. */
  cause: z.string(),
  /** Steps done at the milestone that training went back to. */
  rolledBackTo: z.int().nonnegative(),
  /** What the configured learning rate is multiplied by from there on. */
  learningRateScale: z.number().positive(),
});
export type Divergence = z.infer<typeof divergence>;
