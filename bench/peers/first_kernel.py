"""Imports PyTorch, runs its first kernel, says so with its version, and waits until stdin ends."""
import sys

import torch

torch.set_num_threads(int(sys.argv[1]))
a = torch.ones(256, 256)
(a @ a).sum().item()
print(f"PyTorch {torch.__version__}", flush=True)
sys.stdin.read()
