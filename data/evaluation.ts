// SPEC §5's numbers from sums over tokens: shards add up exactly, so the result does not depend on how they were cut.
import type { RunPage } from '../schemas/dashboard.ts';

/** Sums over the tokens that were read. */
export interface EvaluationSums {
  tokens: number;
  /** Cross-entropy of the next token, nats: activations as they are. */
  clean: number;
  /** … with x̂ in place of x. */
  reconstructed: number;
  /** … with zeros in place of x. */
  zero: number;
  /** … with the mean training activation in place of x. */
  mean: number;
  /** Active features, over all tokens. */
  l0: number;
  /** Activations, over all tokens and features; units of the hooked activation. */
  l1: number;
  /** ‖x − x̂‖², units of the hooked activation squared. */
  squaredError: number;
  /** ‖x‖², likewise. */
  squares: number;
}

export interface Evaluation {
  tokens: number;
  /** Nats per token. */
  losses: RunPage['sae']['losses'];
  /** Share of what zero ablation loses that the reconstruction keeps: 1 loses nothing, 0 is as bad as zeros. SAELens' ce_loss_score. */
  lossRecovered: number;
  /** Features active on a token. */
  l0: number;
  /** Σ|f| of a token, units of the hooked activation. */
  l1: number;
  /** (x − x̂)² of a component, units of the hooked activation squared. SAELens' mse is d times this. */
  mse: number;
  /** Σ‖x − x̂‖² / Σ‖x − mean(x)‖², a share. SAELens' explained_variance is 1 minus this. */
  fvu: number;
}

/**
 * Means over tokens (SPEC §5), and loss recovered (zero − reconstructed) / (zero − clean). The mean of x in the variance
 * is that of the tokens read.
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
