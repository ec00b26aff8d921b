//! Burn's recurrent layers, where the program makes `f64` the device's default type. In a process of its own: a device
//! is configured once, before the first tensor.

use blitz_mcmc::{LogDensity, NutsConfig, Weight};
use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::{
    Gru, GruConfig, Linear, LinearConfig, Lstm, LstmConfig, PositionalEncoding,
    PositionalEncodingConfig,
};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

#[derive(Module, Debug)]
struct Net {
    position: PositionalEncoding,
    lstm: Lstm,
    gru: Gru,
    out: Linear,
}

impl Network for Net {
    type Input = Tensor<3>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let hidden = self.lstm.forward(self.position.forward(x), None).0;
        let hidden = self.gru.forward(hidden, None);
        let [batch, steps, size] = hidden.dims();
        let last = hidden.narrow(1, steps - 1, 1).reshape([batch, size]);
        self.out.forward(last)
    }
}

fn waves(shape: [usize; 3]) -> TensorData {
    let count = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|i| (1.3 * i as f64).sin()).collect();
    TensorData::new(values, shape)
}

#[test]
fn burns_recurrent_layers_have_a_density_and_draws_on_a_device_of_f64() {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).unwrap();
    device.seed(1);
    let network = Net {
        position: PositionalEncodingConfig::new(2)
            .with_max_sequence_size(4)
            .init(&device),
        lstm: LstmConfig::new(2, 2, true).init(&device),
        gru: GruConfig::new(2, 2, true).init(&device),
        out: LinearConfig::new(2, 1).init(&device),
    };
    let data = LabeledBatch {
        inputs: Tensor::<3>::from_data(waves([6, 4, 2]), &device),
        targets: Tensor::<3>::from_data(waves([6, 1, 1]), &device).squeeze_dim::<2>(2),
    };
    let noise = LikelihoodParam::Fixed(0.5);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(&device);
    let prior = |_: &Weight| PriorConfig::normal(1.0);
    let density = LogDensity::new(&network, &likelihood, prior, vec![data]).unwrap();

    let start = density.start().to_vec();
    let mut gradient = vec![0.0; density.len()];
    density.evaluate(&start, &mut gradient);
    let mut unused = gradient.clone();
    for (index, gradient) in gradient.iter().enumerate() {
        let mut at = |step: f64| {
            let mut moved = start.clone();
            moved[index] += step;
            density.evaluate(&moved, &mut unused)
        };
        // Of the second order, whose error is h² times a third derivative, here below 100.
        let h = 1e-5;
        let expected = (at(h) - at(-h)) / (2.0 * h);
        assert!(
            (gradient - expected).abs() < 1e-7,
            "{index}: {gradient} for {expected}"
        );
    }

    let config = NutsConfig::new()
        .with_chains(1)
        .with_warm_up(20)
        .with_draws(10);
    let posterior = config.init().run(&density).unwrap();
    let drawn = posterior.network(0, 9);
    assert_ne!(
        drawn.out.weight.val().into_data(),
        network.out.weight.val().into_data()
    );
}
