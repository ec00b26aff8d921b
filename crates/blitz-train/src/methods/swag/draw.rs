//! Networks of the posterior.

use blitz_layers::blitz_core::Noise;
use blitz_layers::blitz_core::noise::{NoiseKey, layout};
use burn::module::{ModuleMapper, Param};
use burn::tensor::Tensor;

/// One normal for each deviation, over √(2 (K − 1)): the same for all parameters, which is what makes their weights
/// vary together.
pub(super) fn shared_normals(seed: u64, index: u64, kept: usize) -> Vec<f32> {
    let mut normals = vec![0.0; kept];
    let key = NoiseKey::new(seed, layout::prediction(index), layout::SWAG_SHARED);
    key.fill_standard_normal(0, &mut normals);
    let scale = (2.0 * (kept as f64 - 1.0)).sqrt();
    let scaled = normals.iter().map(|z| (f64::from(*z) / scale) as f32);
    scaled.collect()
}

/// Brings a network's weights to their means, or to a draw.
pub(super) struct Perturb<'a> {
    pub offsets: &'a [Param<Tensor<1>>],
    /// A draw's distance from the means.
    pub deviation: Option<Deviation<'a>>,
    pub at: usize,
}

/// What makes a draw's distance from the means.
pub(super) struct Deviation<'a> {
    pub seed: u64,
    pub index: u64,
    pub scale: f64,
    pub collected: u64,
    /// Without a low-rank part, none.
    pub shared: Option<Vec<f32>>,
    pub squares: &'a [Param<Tensor<1>>],
    pub deviations: &'a [Param<Tensor<2>>],
}

impl Deviation<'_> {
    fn of(&self, parameter: usize) -> Tensor<1> {
        let share = if self.shared.is_some() { 0.5 } else { 1.0 };
        let variance = self.squares[parameter].val() * (share / self.collected as f64);
        // Rounding may leave a sum of squares a trifle below zero.
        let std = variance.clamp_min(0.0).sqrt();
        let stream = layout::weight(parameter as u32);
        let key = NoiseKey::new(self.seed, layout::prediction(self.index), stream);
        let mut noise = Noise::new(key);
        let alone = noise.standard_normal(&std) * std;
        let deviation = match &self.shared {
            None => alone,
            Some(normals) => {
                let columns = self.deviations[parameter].val();
                let columns = columns.narrow(0, 0, normals.len());
                let options = (&columns.device(), columns.dtype());
                let normals = Tensor::<1>::from_data(normals.as_slice(), options);
                let together = normals.unsqueeze_dim::<2>(0).matmul(columns);
                alone + together.squeeze_dim::<1>(0)
            }
        };
        deviation * self.scale.sqrt()
    }
}

impl ModuleMapper for Perturb<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let parameter = self.at;
        self.at += 1;
        let offset = self.offsets[parameter].val();
        if offset.dims()[0] == 0 {
            return param;
        }
        let step = match &self.deviation {
            None => offset,
            Some(deviation) => offset + deviation.of(parameter),
        };
        param.map(|first| {
            let dtype = first.dtype();
            let step = step.reshape(first.shape());
            (first.cast(step.dtype()) + step).cast(dtype)
        })
    }
}
