//! Adam in one pass is Burn's Adam.

use blitz_train::FusedAdamConfig;
use blitz_train::blitz_core::kernels::without_fused;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};

#[allow(deprecated)] // ndarray stays supported here.
fn devices() -> [Device; 2] {
    [Device::flex().autodiff(), Device::ndarray().autodiff()]
}

/// Large enough for several threads, and no multiple of a vector's length.
fn layer(device: &Device) -> Linear {
    LinearConfig::new(301, 203).init(device)
}

fn step(optimizer: &mut ModuleOptimizer, layer: Linear, time: usize) -> Linear {
    let device = layer.devices().remove(0);
    let x = Tensor::<2>::ones([2, 301], &device) * (time as f64 * 0.7).sin();
    let target = Tensor::<1, burn::tensor::Int>::arange(0..203, &device).float();
    let loss = (layer.forward(x) - target.unsqueeze::<2>()).square().mean();
    let grads = GradientsParams::from_grads(loss.backward(), &layer);
    optimizer.step(0.01, layer, grads)
}

fn values(layer: &Linear) -> [TensorData; 2] {
    let bias = layer.bias.as_ref().map(|bias| bias.val().into_data());
    [layer.weight.val().into_data(), bias.unwrap()]
}

#[test]
fn steps_have_the_bits_of_burns_adam() {
    for device in devices() {
        let start = layer(&device);
        let train = |mut optimizer: ModuleOptimizer| {
            let steps = 0..5;
            values(&steps.fold(start.clone(), |layer, time| {
                step(&mut optimizer, layer, time)
            }))
        };
        let burns = train(AdamConfig::new().init());
        assert_eq!(train(FusedAdamConfig::new().init()), burns, "{device:?}");
        let plain = without_fused(|| train(FusedAdamConfig::new().init()));
        assert_eq!(plain, burns, "{device:?}, tensor operations");
        assert_ne!(values(&start), burns);
    }
}

#[test]
fn settings_count_as_they_do_in_burns_adam() {
    let device = Device::flex().autodiff();
    let start = layer(&device);
    let train = |mut optimizer: ModuleOptimizer| {
        let steps = 0..3;
        values(&steps.fold(start.clone(), |layer, time| {
            step(&mut optimizer, layer, time)
        }))
    };
    let clipping = burn::grad_clipping::GradientClippingConfig::Norm(0.1);
    let ours = FusedAdamConfig::new()
        .with_beta_1(0.5)
        .with_beta_2(0.9)
        .with_epsilon(1e-3)
        .with_grad_clipping(Some(clipping.clone()));
    let burns = AdamConfig::new()
        .with_beta_1(0.5)
        .with_beta_2(0.9)
        .with_epsilon(1e-3)
        .with_grad_clipping(Some(clipping));
    assert_eq!(train(ours.init()), train(burns.init()));
    assert_ne!(train(FusedAdamConfig::new().init()), train(ours.init()));
}

#[test]
fn a_record_of_burns_adam_goes_on_here() {
    let device = Device::flex().autodiff();
    let mut burns = AdamConfig::new().init();
    let mut model = layer(&device);
    for time in 0..3 {
        model = step(&mut burns, model, time);
    }
    let mut ours = FusedAdamConfig::new().init().load_record(burns.to_record());
    let expected = step(&mut burns, model.clone(), 3);
    let got = step(&mut ours, model, 3);
    assert_eq!(values(&got), values(&expected));
}

#[test]
#[should_panic(expected = "beta_2 must lie inside [0, 1), got 1")]
fn a_decay_of_one_is_refused_with_its_value() {
    FusedAdamConfig::new().with_beta_2(1.0).build();
}
