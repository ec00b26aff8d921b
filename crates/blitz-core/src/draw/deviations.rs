//! The deviations of normal posteriors, kept from draw to draw.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use burn::module::ParamId;
use burn::tensor::{DType, Tensor};

use crate::family::at_least_f32;
use crate::family::deviation::std_from_rho;

/// The deviations `σ = ln(1 + e^ρ)` of a network's normal posteriors, kept from one draw to the next
/// ([`Draw::with_deviations`](super::Draw::with_deviations)): they are half of what a draw computes. One number a
/// weight.
///
/// For draws between which no parameter changes, such as those of a prediction. Belongs to the network that it was
/// filled by.
///
/// ```
/// use blitz_core::KeptDeviations;
/// use blitz_core::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// let net = LinearConfig::new(8, 4).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
/// let kept = KeptDeviations::default();
/// for index in 0..10 {
///     let _draw = net.draw(7, index).with_deviations(&kept);
///     let drawn = net.weight.val();
///     assert_eq!(drawn.into_data(), net.sample_network(7, index).weight.val().into_data());
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeptDeviations(Rc<RefCell<BTreeMap<ParamId, Kept>>>);

/// In an order of their own, as the weights of a draw: Burn's Fusion sees them dropped.
#[derive(Debug)]
struct Kept {
    std: Tensor<1>,
    /// The type of what it is of: a copy of the network in another type has its own.
    dtype: DType,
}

impl KeptDeviations {
    /// Those of the posterior of parameter `id` from its ρ, in `f32` at least.
    pub(crate) fn of(&self, id: ParamId, rho: Tensor<1>) -> Tensor<1> {
        let kept = self.0.borrow().get(&id).and_then(|kept| {
            let is_alike = kept.dtype == rho.dtype()
                && kept.std.device() == rho.device()
                && kept.std.dims() == rho.dims();
            is_alike.then(|| kept.std.clone())
        });
        // Outside of the borrow: a kernel that waits for its threads may run another reader's task.
        kept.unwrap_or_else(|| {
            let dtype = rho.dtype();
            let std = std_from_rho(at_least_f32(rho));
            let made = Kept {
                std: std.clone(),
                dtype,
            };
            let replaced = self.0.borrow_mut().insert(id, made);
            drop(replaced);
            std
        })
    }

    /// Drops those of parameter `id`: what they are of has changed.
    pub(super) fn forget(&self, id: ParamId) {
        let forgotten = self.0.borrow_mut().remove(&id);
        drop(forgotten);
    }
}
