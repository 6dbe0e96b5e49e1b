// Every implementation of the SAE's training step: tests that hold for one must hold for all.
import { TensorSaeTrainer, type SaeTrainer, type SaeTrainerConfig, type SaeTrainingArrays } from '../../model/saeTrainer.ts';

export interface TrainerKind {
  name: string;
  open(state: SaeTrainingArrays, config: SaeTrainerConfig): SaeTrainer;
}

export const trainers: TrainerKind[] = [{ name: 'tensors', open: (state, config) => new TensorSaeTrainer(state, config) }];
