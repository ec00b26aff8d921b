//! A field of a module whose `Module` is written by hand, traversed as a derived one would be, how a traversal meets
//! what is attached to a parameter, and other values of parameters. For the crates of blitz.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The container type of what is attached to a parameter.
pub const ATTACHED: &str = "Reparameterization";

/// The name of a posterior among what may be attached, and a path component: `fc.weight` has its ρ at
/// `fc.weight.bayes.posterior.rho`.
pub const POSTERIOR: &str = "bayes";

/// The name in it of the flag that is its identity.
pub const SAMPLING: &str = "sampling";

/// Visits the field `name` of a module whose fields are reported under the type `container`.
pub fn visit<V: ModuleVisitor>(visitor: &mut V, name: &str, container: &str, field: &impl Module) {
    visitor.enter_module(name, container);
    field.visit(visitor);
    visitor.exit_module(name, container);
}

/// Maps it.
pub fn map<M: ModuleMapper, T: Module>(mapper: &mut M, name: &str, container: &str, field: T) -> T {
    mapper.enter_module(name, container);
    let field = field.map(mapper);
    mapper.exit_module(name, container);
    field
}

/// The parameter with the value that `change` makes of its own: a leaf of the autodiff graph, which trains if the old
/// one did.
///
/// Detached last: what an operation made has a history, and that is good for one backward pass.
pub fn changed<const D: usize>(
    param: Param<Tensor<D>>,
    change: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    param.map(|value| {
        let trains = value.is_require_grad();
        change(value).detach().set_require_grad(trains)
    })
}

/// A parameter that does not train.
///
/// Detached, since autodiff takes no gradient for what an operation made.
pub fn fixed<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(tensor.detach()).set_require_grad(false)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn trained() -> Param<Tensor<1>> {
        let device = Device::flex().autodiff();
        Param::from_tensor(Tensor::from_floats([1.0, 2.0], &device))
    }

    #[test]
    fn a_changed_parameter_trains_through_many_backward_passes() {
        // Of a value that has a history, too.
        let other = trained();
        let changed = changed(trained(), |value| value * other.val());
        for _ in 0..2 {
            let gradients = changed.val().square().sum().backward();
            let gradient = changed.val().grad(&gradients).unwrap();
            gradient.into_data().assert_eq(&[2.0f32, 8.0].into(), true);
            assert!(other.val().grad(&gradients).is_none());
        }
    }

    #[test]
    fn a_changed_parameter_that_does_not_train_stays_so() {
        let frozen = trained().set_require_grad(false);
        assert!(!changed(frozen, |value| value * 2.0).val().is_require_grad());
    }

    #[test]
    fn a_fixed_parameter_is_off_the_graph_of_what_it_is_made_of() {
        let fixed = fixed(trained().val() * 2.0);
        assert!(!fixed.val().is_require_grad() && !fixed.val().is_tracked());
    }
}
