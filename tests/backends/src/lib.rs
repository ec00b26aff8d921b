//! Draws, gradients and predictions compared across backends; see `tests/`.
