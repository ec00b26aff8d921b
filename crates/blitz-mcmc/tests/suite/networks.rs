//! Networks and data that the tests share.

use blitz_mcmc::LogDensity;
use blitz_train::blitz_core::noise::NoiseKey;
use blitz_train::prelude::*;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

/// One linear layer.
#[derive(Module, Debug)]
pub struct Line {
    pub layer: Linear,
}

impl Line {
    /// With weights of zero, so that a run's start is no random one.
    pub fn new(inputs: usize) -> Self {
        let device = Device::flex();
        let mut layer = LinearConfig::new(inputs, 1).init(&device);
        layer.weight = Param::from_tensor(Tensor::zeros([inputs, 1], &device));
        layer.bias = Some(Param::from_tensor(Tensor::zeros([1], &device)));
        Self { layer }
    }
}

impl Network for Line {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.layer.forward(input)
    }
}

/// One hidden layer of tanh.
#[derive(Module, Debug)]
pub struct Mlp {
    pub hidden: Linear,
    pub out: Linear,
}

impl Mlp {
    pub fn new(inputs: usize, hidden: usize, outputs: usize) -> Self {
        let device = Device::flex();
        Self {
            hidden: LinearConfig::new(inputs, hidden).init(&device),
            out: LinearConfig::new(hidden, outputs).init(&device),
        }
    }
}

impl Network for Mlp {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.out.forward(self.hidden.forward(input).tanh())
    }
}

/// Standard normal numbers.
pub fn normals(seed: u64, count: usize) -> Vec<f64> {
    let mut values = vec![0.0; count];
    NoiseKey::new(seed, 0, 0).fill_standard_normal(0, &mut values);
    values.into_iter().map(f64::from).collect()
}

pub fn table(values: &[f64], columns: usize) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

pub fn gaussian(noise: f64) -> GaussianLikelihood {
    let noise = LikelihoodParam::Fixed(noise);
    GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(&Device::flex())
}

/// A few points about a line of slope `slope`.
pub fn points(count: usize, slope: f64) -> LabeledBatch<Tensor<2>, Tensor<2>> {
    let x = normals(1, count);
    let noise = normals(2, count);
    let y: Vec<f64> = x
        .iter()
        .zip(&noise)
        .map(|(x, e)| slope * x + 0.3 * e)
        .collect();
    LabeledBatch {
        inputs: table(&x, 1),
        targets: table(&y, 1),
    }
}

/// The density of a line through ten points.
pub fn line_density() -> LogDensity<Line, impl Fn(&Line) -> Tensor<1> + Clone + Send> {
    line_density_of(points(10, 2.0))
}

pub fn line_density_of(
    data: LabeledBatch<Tensor<2>, Tensor<2>>,
) -> LogDensity<Line, impl Fn(&Line) -> Tensor<1> + Clone + Send> {
    LogDensity::new(
        &Line::new(1),
        &gaussian(0.3),
        |_| PriorConfig::normal(1.0),
        vec![data],
    )
    .unwrap()
}
