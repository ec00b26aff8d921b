//! A posterior that says of itself no more than what it has to.

use blitz_core::{BuiltinPosterior, Marginals, Nats, Noise, Posterior, PosteriorStructure};
use burn::module::Module;
use burn::tensor::Tensor;

/// A built-in posterior that says neither which family it is nor that its variances have factors: what is computed of
/// it is computed weight by weight.
#[derive(Module, Debug)]
pub struct Elementwise {
    pub inner: BuiltinPosterior,
}

impl Posterior for Elementwise {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        self.inner.sample(mu, noise)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.inner.std_dev(mu)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        self.inner.log_density(mu, weight)
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        self.inner.marginals(mu)
    }

    fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
        self.inner.entropy(q)
    }

    fn structure(&self) -> PosteriorStructure {
        self.inner.structure()
    }
}
