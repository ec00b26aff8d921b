//! The gradient of a number by the weights of a network, and a network that is a step away.

use blitz_layers::blitz_core::fields::changed;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use super::super::error::LaplaceError;
use super::super::numbers::{finite, host};
use super::random_weights::{VisitRandom, visit_random};

/// The gradient of each float parameter in the module's order, row-major: none of one without, and at the later places
/// of a weight that is tied.
///
/// An error if one is not finite, which names the example.
pub(super) fn gradients_of<N: Module>(
    network: &N,
    gradients: &Gradients,
    example: usize,
) -> Result<Vec<Option<Vec<f64>>>, LaplaceError> {
    struct Collect<'a> {
        gradients: &'a Gradients,
        found: Vec<Option<Vec<f64>>>,
    }

    impl VisitRandom for Collect<'_> {
        fn visit_random<const D: usize>(&mut self, value: Option<Tensor<D>>) {
            let gradient = value.and_then(|value| value.grad(self.gradients));
            self.found.push(gradient.map(host));
        }
    }

    let mut collect = Collect {
        gradients,
        found: Vec::new(),
    };
    visit_random(network, &mut collect);
    for gradient in collect.found.iter().flatten() {
        finite(gradient, gradient.len(), "a gradient", example)?;
    }
    Ok(collect.found)
}

/// The network with each float parameter moved by its step, in the module's order; the same weights in all places of a
/// tied one.
pub(super) fn moved<N: Module>(network: N, steps: Vec<Option<Vec<f64>>>) -> N {
    let mut steps = Steps(steps.into_iter());
    let network: N = network.map(&mut steps);
    blitz_layers::blitz_core::BayesianModule::retie(network)
}

struct Steps(std::vec::IntoIter<Option<Vec<f64>>>);

impl ModuleMapper for Steps {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(step) = self.0.next().flatten() else {
            return param;
        };
        changed(param, |value| {
            let step = TensorData::new(step, value.dims());
            let options = (&value.device(), value.dtype());
            value + Tensor::from_data(step, options)
        })
    }
}
