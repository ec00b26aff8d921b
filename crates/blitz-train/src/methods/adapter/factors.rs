//! The adapters of a network: where they are, their factors, and other values in the factors' places.

use std::collections::{HashMap, HashSet};

use blitz_layers::blitz_core::fields::{ATTACHED, changed};
use blitz_layers::blitz_core::{VisitAt, locations, trains, visit_by_path};
use burn::module::{
    LoraAdapter, Module, ModuleMapper, ModuleVisitor, Param, ParamId, Reparameterization,
};
use burn::tensor::{DType, Shape, Tensor};

use super::error::AdapterError;

/// An adapter and the weight that it stands beside.
#[derive(Debug)]
pub(super) struct Adapter {
    /// The path of the weight.
    pub path: String,
    /// The weight.
    base: ParamId,
    /// Its shape, `[d_in, d_out]`.
    shape: Shape,
    base_trains: bool,
    /// What the product of the factors is multiplied with.
    pub scale: f64,
    /// `[d_in, r]`.
    pub a: Factor,
    /// `[r, d_out]`.
    pub b: Factor,
}

/// A factor of an adapter.
#[derive(Debug)]
pub(super) struct Factor {
    pub path: String,
    pub id: ParamId,
    /// The stored value: the mean, where a posterior is attached.
    pub value: Tensor<2>,
    pub trains: bool,
    pub has_posterior: bool,
}

/// The adapters of `module`, in the order of its traversal.
pub(super) fn adapters<M: Module>(module: &M) -> Result<Vec<Adapter>, AdapterError> {
    let mut visitor = Visitor::default();
    module.visit(&mut visitor);
    let mut adapters = visitor.adapters;
    if adapters.is_empty() {
        return Err(AdapterError::None);
    }
    let scales = scales(module, &adapters);
    for (adapter, scale) in adapters.iter_mut().zip(scales) {
        adapter.scale = scale;
        if adapter.rank() == 0 {
            return Err(AdapterError::NoRank {
                path: adapter.path.clone(),
            });
        }
        if scale == 0.0 || !scale.is_finite() {
            return Err(AdapterError::Scale {
                path: adapter.path.clone(),
                scale,
            });
        }
        if adapter.base_trains {
            return Err(AdapterError::BaseTrains {
                path: adapter.path.clone(),
            });
        }
    }
    Ok(adapters)
}

/// Those of [`adapters`], none of which has more columns than its weight has rank: such a one trains, and directions of
/// its factors are of no use to a posterior.
pub(super) fn adapters_within_rank<M: Module>(module: &M) -> Result<Vec<Adapter>, AdapterError> {
    let adapters = adapters(module)?;
    for adapter in &adapters {
        let (rank, rows, columns) = (adapter.rank(), adapter.shape[0], adapter.shape[1]);
        if rank > rows.min(columns) {
            return Err(AdapterError::Rank {
                path: adapter.path.clone(),
                rank,
                rows,
                columns,
            });
        }
    }
    Ok(adapters)
}

impl Adapter {
    /// The columns of its factor `a`.
    fn rank(&self) -> usize {
        self.a.value.dims()[1]
    }
}

struct Base {
    path: String,
    id: ParamId,
    shape: Shape,
    trains: bool,
}

#[derive(Default)]
struct Visitor {
    /// Names and container types of what is entered.
    stack: Vec<(String, String)>,
    /// The weight met last outside of what is attached.
    weight: Option<Base>,
    a: Option<Factor>,
    adapters: Vec<Adapter>,
}

impl Visitor {
    /// Whether the innermost name is that of a factor.
    fn is_at_factor(&self) -> bool {
        let above = self.stack.len().checked_sub(2);
        above.is_some_and(|above| is_lora(&self.stack[above]))
    }
}

/// The path of names with their container types.
pub(super) fn path(stack: &[(String, String)]) -> String {
    let names: Vec<&str> = stack.iter().map(|(name, _)| name.as_str()).collect();
    names.join(".")
}

/// Whether a name and its container type are those of an adapter.
pub(super) fn is_lora((name, container): &(String, String)) -> bool {
    name == LoraAdapter::NAME && container == ATTACHED
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        // What is attached to a factor, right after it.
        if container_type == ATTACHED && self.is_at_factor() {
            let last = self.adapters.last_mut().map(|adapter| &mut adapter.b);
            if let Some(factor) = self.a.as_mut().or(last) {
                factor.has_posterior = true;
            }
        }
        self.stack
            .push((name.to_string(), container_type.to_string()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self
            .stack
            .iter()
            .any(|(_, container)| container == ATTACHED)
        {
            self.weight = Some(Base {
                path: path(&self.stack),
                id: param.id,
                shape: param.lazy_shape(),
                trains: trains(param),
            });
            return;
        }
        if !self.is_at_factor() {
            return;
        }
        let value = param.base().detach();
        let shape = value.shape();
        let factor = Factor {
            path: path(&self.stack),
            id: param.id,
            value: value.reshape([shape[0], shape[1]]),
            trains: trains(param),
            has_posterior: false,
        };
        match (self.a.take(), &self.weight) {
            (None, _) => self.a = Some(factor),
            (Some(a), Some(base)) => self.adapters.push(Adapter {
                path: base.path.clone(),
                base: base.id,
                shape: base.shape.clone(),
                base_trains: base.trains,
                // Read below, of all adapters at once.
                scale: f64::NAN,
                a,
                b: factor,
            }),
            (Some(_), None) => unreachable!("an adapter is attached to a weight"),
        }
    }
}

/// The module with other values in parameters, by their ids.
pub(super) fn with_values<M: Module>(module: M, values: HashMap<ParamId, Tensor<2>>) -> M {
    struct Set(HashMap<ParamId, Tensor<2>>);

    impl ModuleMapper for Set {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(value) = self.0.get(&param.id).cloned() else {
                return param;
            };
            changed(param, |old| value.reshape(old.shape()))
        }
    }

    module.map(&mut Set(values))
}

/// The module with these parameters trained by an optimizer, or not.
pub(super) fn with_training<M: Module>(module: M, ids: HashSet<ParamId>, train: bool) -> M {
    struct Set {
        ids: HashSet<ParamId>,
        train: bool,
    }

    impl ModuleMapper for Set {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.ids.contains(&param.id) {
                true => param.set_require_grad(self.train),
                false => param,
            }
        }
    }

    module.map(&mut Set { ids, train })
}

/// The factor that each adapter's product is multiplied with, in the order of `adapters`.
///
/// Burn shows it to no visitor. So it is read off a network whose adapters are of one number each, factors of one
/// beside weights of zero, in `f32`: a sum with the weight would round it, by all of it where the weight is large.
fn scales<M: Module>(module: &M, adapters: &[Adapter]) -> Vec<f64> {
    struct Set(HashMap<ParamId, f32>);

    impl ModuleMapper for Set {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(value) = self.0.get(&param.id) else {
                return param;
            };
            let options = (&param.lazy_device(), DType::F32);
            Param::initialized(param.id, Tensor::full([1; D], *value, options))
        }
    }

    struct Read(HashMap<String, Option<f64>>);

    impl VisitAt for Read {
        fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
            if let Some(value) = self.0.get_mut(path) {
                *value = Some(param.val().into_scalar::<f64>());
            }
        }
    }

    let values = adapters.iter().flat_map(|adapter| {
        [
            (adapter.base, 0.0),
            (adapter.a.id, 1.0),
            (adapter.b.id, 1.0),
        ]
    });
    let network = module.clone().map(&mut Set(values.collect()));
    let paths = adapters.iter().map(|adapter| (adapter.path.clone(), None));
    let mut read = Read(paths.collect());
    // Not `mean_network`: what a family makes of its stored tensor may depend on its shape.
    visit_by_path(&locations(network), &mut read);
    let scale = |adapter: &Adapter| {
        let value = read.0.get(&adapter.path).copied().flatten();
        value.unwrap_or_else(|| unreachable!("a merged weight stays where it is"))
    };
    adapters.iter().map(scale).collect()
}
