//! The weights that the posterior of a whole network is about: those that train, a tied one at its first place.

use std::collections::HashSet;

use blitz_layers::blitz_core::at_least_f32;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use super::super::numbers::host;

/// What is learned of the float parameters of a network, in its order.
pub(super) trait VisitRandom {
    /// The value of a parameter, as it is on its graph; none of one that stays as it is, and at the later places of a
    /// weight that is tied.
    fn visit_random<const D: usize>(&mut self, value: Option<Tensor<D>>);
}

/// Visits the network.
pub(super) fn visit_random<N: Module>(network: &N, visitor: &mut impl VisitRandom) {
    let seen = HashSet::new();
    network.visit(&mut Random { visitor, seen });
}

struct Random<'a, V> {
    visitor: &'a mut V,
    seen: HashSet<ParamId>,
}

impl<V: VisitRandom> ModuleVisitor for Random<'_, V> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.base();
        let is_random = value.is_require_grad() && self.seen.insert(param.id);
        self.visitor.visit_random(is_random.then_some(value));
    }
}

/// A tensor of such weights.
#[derive(Debug)]
pub(super) struct RandomWeight {
    pub(super) shape: Vec<usize>,
    pub(super) squared_norm: f64,
}

impl RandomWeight {
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Those of a network, as [`VisitRandom`] meets them.
pub(super) fn random_weights<N: Module>(network: &N) -> Vec<Option<RandomWeight>> {
    struct Read(Vec<Option<RandomWeight>>);

    impl VisitRandom for Read {
        fn visit_random<const D: usize>(&mut self, value: Option<Tensor<D>>) {
            self.0.push(value.map(|value| RandomWeight {
                shape: value.dims().to_vec(),
                squared_norm: host(value).iter().map(|w| w * w).sum(),
            }));
        }
    }

    let mut read = Read(Vec::new());
    visit_random(network, &mut read);
    read.0
}

/// The sum of their squares on the graph; none if nothing trains.
pub(super) fn squared_norm<N: Module>(network: &N) -> Option<Tensor<1>> {
    struct Squares(Option<Tensor<1>>);

    impl VisitRandom for Squares {
        fn visit_random<const D: usize>(&mut self, value: Option<Tensor<D>>) {
            let Some(value) = value else {
                return;
            };
            let squares = at_least_f32(value).square().sum();
            self.0 = Some(match self.0.take() {
                Some(sum) => sum + squares,
                None => squares,
            });
        }
    }

    let mut squares = Squares(None);
    visit_random(network, &mut squares);
    squares.0
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::super::gradients::gradients_of;
    use super::*;

    #[derive(Module, Debug)]
    struct Pair {
        first: Linear,
        second: Linear,
    }

    #[test]
    fn a_tied_weight_counts_once_and_a_frozen_copy_not_at_all() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 1).with_bias(false).init(&device);
        // Or each clone would make a value of its own.
        let _ = layer.weight.val();
        let tied = Pair {
            first: layer.clone(),
            second: layer.clone(),
        };
        let distilled = Pair {
            first: layer.clone().freeze(),
            second: layer,
        };
        for (pair, expected) in [(tied, [true, false]), (distilled, [false, true])] {
            let weights = random_weights(&pair);
            let are_random: Vec<bool> = weights.iter().map(Option::is_some).collect();
            assert_eq!(are_random, expected);

            let norm = squared_norm(&pair).unwrap();
            let of_weights: f64 = weights.iter().flatten().map(|w| w.squared_norm).sum();
            assert!((norm.clone().into_scalar::<f64>() - of_weights).abs() < 1e-6);

            let gradients = gradients_of(&pair, &norm.backward(), 0).unwrap();
            let have_one: Vec<bool> = gradients.iter().map(Option::is_some).collect();
            assert_eq!(have_one, expected);
        }
    }
}
