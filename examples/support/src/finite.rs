//! Weights that are numbers.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The path of the first parameter with a NaN or an infinity: in a checkpoint it makes every prediction one.
pub fn first_not_finite(module: &impl Module) -> Option<String> {
    #[derive(Default)]
    struct Search {
        path: Vec<String>,
        found: Option<String>,
    }

    impl ModuleVisitor for Search {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.found.is_none() && !param.base().is_finite().all().into_scalar::<bool>() {
                self.found = Some(self.path.join("."));
            }
        }
    }

    let mut search = Search::default();
    module.visit(&mut search);
    search.found
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_first_parameter_that_is_no_number_is_named() {
        let net = LinearConfig::new(3, 2).init(&Device::flex());
        assert_eq!(first_not_finite(&net), None);
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut other = net.clone();
            other.bias = other
                .bias
                .map(|bias| bias.map(|bias| bias.slice_fill(1..2, value)));
            assert_eq!(first_not_finite(&other).as_deref(), Some("bias"));
        }
    }
}
