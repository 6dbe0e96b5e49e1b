// SPEC §5's numbers from sums over tokens: shards add up exactly, so the result does not depend on how they were cut.
import type { RunPage } from '../schemas/dashboard.ts';

/** Sums over the tokens that were read; losses in nats. */
export interface EvaluationSums {
  tokens: number;
  clean: number;
  reconstructed: number;
  zero: number;
  mean: number;
  /** Active features, over all tokens. */
  l0: number;
  /** Activations, over all tokens and features. */
  l1: number;
  /** ‖x − x̂‖² and ‖x‖². */
  squaredError: number;
  squares: number;
}

export interface Evaluation {
  tokens: number;
  /** Nats per token. */
  losses: RunPage['sae']['losses'];
  lossRecovered: number;
  l0: number;
  l1: number;
  mse: number;
  fvu: number;
}

/**
 * Means over tokens: L0, L1, squared error per component, fraction of variance unexplained
 * Σ‖x − x̂‖² / Σ‖x − mean(x)‖², the four losses, and loss recovered (zero − reconstructed) / (zero − clean).
 *
 * @param columnSums sum of x over tokens, [d]
 */
export function evaluationOf(sums: EvaluationSums, columnSums: Float64Array): Evaluation {
  const { tokens } = sums;
  const losses = { clean: sums.clean / tokens, reconstructed: sums.reconstructed / tokens, zero: sums.zero / tokens, mean: sums.mean / tokens };
  // Σ‖x − mean‖² = Σ‖x‖² − n‖mean‖²
  const variance = sums.squares - columnSums.reduce((squares, value) => squares + value * value, 0) / tokens;
  return {
    tokens,
    losses,
    lossRecovered: (losses.zero - losses.reconstructed) / (losses.zero - losses.clean),
    l0: sums.l0 / tokens,
    l1: sums.l1 / tokens,
    mse: sums.squaredError / (tokens * columnSums.length),
    fvu: sums.squaredError / variance,
  };
}
