//! Pruning by signal to noise: weights whose mean is small beside their deviation carry little, and are set to zero.
//!
//! Blundell et al., *Weight uncertainty in neural networks* (2015), section 5.1 and table 2.

use std::fmt;
use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

use super::marginals;
use crate::attach::{Attachment, MapAt, Posteriors, Walk, check_bare, map_by_path, walk_apart};
use crate::fields::changed;

/// What is pruned after a [`prune_by_signal_to_noise`](crate::BayesianModule::prune_by_signal_to_noise), by that call
/// and by those before; prints as a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PruningReport {
    /// Each weight tensor that has a posterior, in the order of the module's traversal.
    pub tensors: Vec<PrunedTensor>,
    /// The number of pruned weights.
    pub pruned: usize,
    /// The number of weights that have a posterior.
    pub total: usize,
    /// The largest ratio that was pruned, or `None` if none was.
    pub threshold: Option<f32>,
}

/// The part of a weight tensor that was pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrunedTensor {
    /// The path of the parameter.
    pub path: String,
    /// The number of its pruned weights.
    pub pruned: usize,
    /// The number of its weights, without a row that is never read, such as padding.
    pub total: usize,
}

impl PruningReport {
    fn row(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        pruned: usize,
        total: usize,
    ) -> fmt::Result {
        let width = self.name_width();
        let share = 100.0 * pruned as f64 / total.max(1) as f64;
        writeln!(f, "{name:<width$}  {total:>9}  {pruned:>9}  {share:>6.2} %")
    }

    fn name_width(&self) -> usize {
        let names = self.tensors.iter().map(|tensor| tensor.path.len());
        names.chain(["weights".len()]).max().unwrap_or_default()
    }
}

impl fmt::Display for PruningReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.name_width();
        writeln!(
            f,
            "{:<width$}  {:>9}  {:>9}  {:>8}",
            "weights", "total", "pruned", "share"
        )?;
        for tensor in &self.tensors {
            self.row(f, &tensor.path, tensor.pruned, tensor.total)?;
        }
        self.row(f, "all", self.pruned, self.total)?;
        match self.threshold {
            Some(threshold) => write!(
                f,
                "signal-to-noise ratios up to {threshold:.4e} were pruned"
            ),
            None => write!(f, "nothing was pruned"),
        }
    }
}

pub(super) fn prune<M: Module>(module: M, share: f64) -> (M, PruningReport) {
    assert!(
        (0.0..=1.0).contains(&share),
        "the share of weights to prune must lie in [0, 1], got {share}"
    );
    let (module, walk) = walk_apart(module);
    check_bare(&walk).unwrap_or_else(|error| panic!("{error}"));
    let ratios = ratios(&module);
    let (module, mut posteriors) = Posteriors::take_off(module, &walk);
    let unused = unused_rows(&walk, &posteriors);
    let mut masks = masks(&walk, &posteriors, &ratios);

    let order = in_order(&ratios, &masks, &unused);
    let total = order.len();
    let pruned_before = order.iter().filter(|weight| !weight.is_kept).count();
    let pruned = pruned_before.max((share * total as f64).round() as usize);
    for Candidate { tensor, index, .. } in &order[..pruned] {
        masks[*tensor][*index] = 0.0;
    }

    let tensors = ratios.into_iter().zip(&masks).zip(unused);
    let tensors = tensors.map(|(((_, path), mask), unused)| PrunedTensor {
        path,
        pruned: mask.iter().filter(|kept| **kept == 0.0).count(),
        total: mask.len() - unused.len(),
    });
    let report = PruningReport {
        tensors: tensors.collect(),
        pruned,
        total,
        threshold: pruned.checked_sub(1).map(|last| order[last].ratio),
    };

    set_masks(masks, &walk, &mut posteriors);
    let module = map_by_path(module, &mut ZeroPruned(&posteriors));
    (posteriors.put_back(module), report)
}

/// The signal-to-noise ratios of each tensor, and its path.
///
/// # Panics
///
/// Panics if one is NaN.
fn ratios<M: Module>(module: &M) -> Vec<(Vec<f32>, String)> {
    // Of the posterior's own deviation, which a mask leaves alone: a pruned weight has the ratio zero, not 0 / 0.
    let marginals = marginals::of(module).into_iter();
    let ratios: Vec<_> = marginals
        .map(|weight| (weight.signal_to_noise(), weight.path))
        .collect();
    for (ratios, path) in &ratios {
        if let Some(index) = ratios.iter().position(|ratio| ratio.is_nan()) {
            panic!(
                "the signal-to-noise ratio of {path}, weight {index}, is NaN: the model diverged, or the weight's mean and \
                 deviation are both zero"
            );
        }
    }
    ratios
}

/// The weights of each tensor that are in a row that is never read, such as padding.
fn unused_rows(walk: &Walk, posteriors: &Posteriors) -> Vec<Range<usize>> {
    walk.posteriors()
        .map(|(weight, id)| {
            let row = posteriors.get(id).and_then(Attachment::unused_row)?;
            let length = weight.shape.num_elements() / weight.shape[0].max(1);
            Some(row * length..(row + 1) * length)
        })
        .map(Option::unwrap_or_default)
        .collect()
}

/// What was pruned before: zeros in the mask of each tensor.
fn masks(walk: &Walk, posteriors: &Posteriors, ratios: &[(Vec<f32>, String)]) -> Vec<Vec<f32>> {
    walk.posteriors()
        .zip(ratios)
        .map(|((_, id), (ratios, _))| {
            let mask = posteriors.get(id).and_then(Attachment::mask);
            match mask {
                Some(mask) => mask.into_data().iter::<f32>().collect(),
                None => vec![1.0; ratios.len()],
            }
        })
        .collect()
}

/// The weights that may be pruned, in the order in which they are.
///
/// What was pruned before comes first: it has lost its mean, and would come back as noise alone. A row that is never
/// read says nothing by its ratios, and is left out.
fn in_order(
    ratios: &[(Vec<f32>, String)],
    masks: &[Vec<f32>],
    unused: &[Range<usize>],
) -> Vec<Candidate> {
    let mut order: Vec<Candidate> = Vec::new();
    for (tensor, (ratios, _)) in ratios.iter().enumerate() {
        let indexed = ratios.iter().enumerate();
        let indexed = indexed.filter(|(index, _)| !unused[tensor].contains(index));
        order.extend(indexed.map(|(index, ratio)| Candidate {
            is_kept: masks[tensor][index] != 0.0,
            ratio: *ratio,
            tensor,
            index,
        }));
    }
    // The sort is stable: of equal ratios, the earlier weight goes first.
    order.sort_by(|a, b| {
        let by_mask = a.is_kept.cmp(&b.is_kept);
        by_mask.then(a.ratio.total_cmp(&b.ratio))
    });
    order
}

fn set_masks(masks: Vec<Vec<f32>>, walk: &Walk, posteriors: &mut Posteriors) {
    for (mask, (_, id)) in masks.into_iter().zip(walk.posteriors()) {
        if let Some(posterior) = posteriors.get_mut(id) {
            let mean = posterior.mean();
            let data = TensorData::new(mask, mean.shape());
            posterior.set_mask(Tensor::from_data(data, (&mean.device(), mean.dtype())));
        }
    }
}

/// A weight that may be pruned.
struct Candidate {
    /// Whether it was not pruned before.
    is_kept: bool,
    ratio: f32,
    tensor: usize,
    index: usize,
}

/// Sets the stored tensors to zero where they are pruned, so that a record of the means has the zeros too.
struct ZeroPruned<'a>(&'a Posteriors);

impl MapAt for ZeroPruned<'_> {
    fn map_at<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(mask) = self.0.at(path).and_then(|posterior| posterior.mask()) else {
            return param;
        };
        changed(param, |mu| {
            let mask = mask.reshape(mu.shape());
            mu * mask
        })
    }
}
