//! Weights and scores that are numbers.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use thiserror::Error;

/// A score that is no number has no mean with others, and no place in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("the {score} of the test rows is {value}; is a target of another scale than all others?")]
pub struct NotFiniteScore {
    /// Which.
    pub score: &'static str,
    /// Its value.
    pub value: f64,
}

/// Refuses scores, by their names, of which one is not finite.
///
/// # Errors
///
/// Returns the first of them.
pub fn check_scores(scores: &[(&'static str, f64)]) -> Result<(), NotFiniteScore> {
    match scores.iter().find(|(_, value)| !value.is_finite()) {
        Some(&(score, value)) => Err(NotFiniteScore { score, value }),
        None => Ok(()),
    }
}

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
    fn the_first_score_that_is_no_number_is_named() {
        assert_eq!(check_scores(&[("RMSE", 0.0), ("NLL", -1e300)]), Ok(()));
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let error = check_scores(&[("RMSE", 0.0), ("NLL", value), ("CRPS", f64::NAN)]);
            let error = error.unwrap_err().to_string();
            let expected = format!("the NLL of the test rows is {value}; ");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

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
