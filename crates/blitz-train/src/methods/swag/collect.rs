//! The moments of a network's weights.

use blitz_layers::blitz_core::fields::fixed;
use blitz_layers::blitz_core::{VisitAt, trains, wide_type};
use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, s};

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let tensor = match tensor.is_autodiff() {
        true => tensor.inner(),
        false => tensor,
    };
    tensor.flatten(0, D - 1)
}

/// Makes room for the moments of a network's weights.
pub(super) struct Prepare {
    rank: usize,
    pub offsets: Vec<Param<Tensor<1>>>,
    pub squares: Vec<Param<Tensor<1>>>,
    pub deviations: Vec<Param<Tensor<2>>>,
}

impl Prepare {
    pub fn new(rank: usize) -> Self {
        Self {
            rank,
            offsets: Vec::new(),
            squares: Vec::new(),
            deviations: Vec::new(),
        }
    }
}

impl ModuleVisitor for Prepare {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weights = param.base();
        // Squares of deviations vanish in 16 bits, whatever is the device's own type.
        let dtype = wide_type(weights.dtype());
        let count = match trains(param) {
            true => weights.shape().num_elements(),
            false => 0,
        };
        let options = (&weights.without_autodiff().device(), dtype);
        let zeros = Tensor::zeros([count], options);
        self.offsets.push(fixed(zeros.clone()));
        self.squares.push(fixed(zeros));
        let deviations = Tensor::zeros([self.rank, count], options);
        self.deviations.push(fixed(deviations));
    }
}

/// The weights of a parameter, if they train: no others are looked at.
pub(super) struct Weights {
    pub path: String,
    pub flat: Option<Tensor<1>>,
}

impl Weights {
    pub fn len_if_trains(&self) -> usize {
        self.flat.as_ref().map_or(0, |flat| flat.dims()[0])
    }

    pub fn is_finite(&self) -> bool {
        let finite = |flat: &Tensor<1>| flat.clone().is_finite().all().into_scalar::<bool>();
        self.flat.iter().all(finite)
    }
}

/// Reads all parameters.
#[derive(Default)]
pub(super) struct Read {
    pub weights: Vec<Weights>,
}

impl VisitAt for Read {
    fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        self.weights.push(Weights {
            path: path.to_string(),
            flat: trains(param).then(|| flat(param.base())),
        });
    }
}

/// Puts the weights of the first network into the place of the latest ones.
pub(super) struct Keep(pub std::vec::IntoIter<Weights>);

impl ModuleMapper for Keep {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.next().and_then(|first| first.flat) {
            Some(first) => param.map(|latest| first.reshape(latest.shape())),
            None => param,
        }
    }
}

/// What is known of a parameter's weights, as differences from the first ones.
pub(super) struct Moments {
    pub offset: Tensor<1>,
    pub squares: Tensor<1>,
    pub deviations: Tensor<2>,
}

impl Moments {
    /// Adds weights to the `before` that were there: Welford's recurrence, since in `f32` the difference of mean square
    /// and squared mean has no digits left where weights are large beside their deviations.
    pub fn add(&mut self, weights: Tensor<1>, before: u64) {
        let weights = weights.cast(self.offset.dtype());
        let step = weights.clone() - self.offset.clone();
        self.offset = self.offset.clone() + step.clone() / (before as f64 + 1.0);
        let deviation = weights - self.offset.clone();
        self.squares = self.squares.clone() + step * deviation.clone();
        let [rank, _] = self.deviations.dims();
        if rank > 0 {
            let row = (before % rank as u64) as usize;
            let deviations = self.deviations.clone();
            self.deviations =
                deviations.slice_assign(s![row..row + 1, ..], deviation.unsqueeze_dim(0));
        }
    }
}
