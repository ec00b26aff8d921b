//! Adam in one pass is Burn's Adam.

use blitz_train::FusedAdamConfig;
use blitz_train::blitz_core::kernels::without_fused;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::types::TYPES;

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

/// One parameter, so that a record has one order of its tensors.
fn weight(dtype: DType) -> Param<Tensor<1>> {
    let device = Device::flex().autodiff();
    let start = Tensor::<1>::from_data([0.3, -1.7, 5.0, 0.001, 0.1], (&device, dtype));
    Param::from_tensor(start)
}

/// Of gradients with all their digits.
fn weight_step(optimizer: &mut ModuleOptimizer, weight: Param<Tensor<1>>) -> Param<Tensor<1>> {
    let loss = (weight.val() / 3.0).sin().sum();
    let grads = GradientsParams::from_grads(loss.backward(), &weight);
    optimizer.step(0.01, weight, grads)
}

fn record(optimizer: &ModuleOptimizer) -> Vec<u8> {
    optimizer.into_bytes().unwrap().to_vec()
}

#[test]
fn a_resumed_training_is_the_same_to_the_bit_in_every_type() {
    for dtype in TYPES {
        let mut optimizer = FusedAdamConfig::new().init();
        let mut model = weight(dtype);
        for _ in 0..3 {
            model = weight_step(&mut optimizer, model);
        }
        let resumed = FusedAdamConfig::new().init();
        let mut resumed = resumed.load_record(optimizer.to_record());
        assert_eq!(record(&resumed), record(&optimizer), "{dtype:?}");
        let mut again = model.clone();
        for _ in 0..3 {
            model = weight_step(&mut optimizer, model);
            again = weight_step(&mut resumed, again);
        }
        assert_eq!(
            model.val().into_data(),
            again.val().into_data(),
            "{dtype:?}"
        );
    }
}

#[test]
fn records_are_those_of_burns_adam_and_each_goes_on_from_the_others() {
    let configs = || [FusedAdamConfig::new().init(), AdamConfig::new().init()];
    let [mut ours, mut burns] = configs();
    let mut model = weight(DType::F32);
    for _ in 0..3 {
        let next = weight_step(&mut ours, model.clone());
        weight_step(&mut burns, model);
        model = next;
    }
    assert_eq!(record(&ours), record(&burns));
    let [from_burns, from_ours] = configs();
    let resumed = [
        from_burns.load_record(burns.to_record()),
        from_ours.load_record(ours.to_record()),
    ];
    let expected = weight_step(&mut ours, model.clone()).val().into_data();
    for mut resumed in resumed {
        let got = weight_step(&mut resumed, model.clone());
        assert_eq!(got.val().into_data(), expected);
        assert_eq!(record(&resumed), record(&ours));
    }
}

/// Burn's Adam without AMSGrad does so as well.
#[test]
fn the_largest_moment_of_a_record_of_amsgrad_is_passed_on() {
    let mut amsgrad = AdamConfig::new().with_amsgrad(true).init();
    let model = weight_step(&mut amsgrad, weight(DType::F32));
    let resumed = [FusedAdamConfig::new().init(), AdamConfig::new().init()];
    let [ours, burns] = resumed.map(|optimizer| {
        let mut optimizer = optimizer.load_record(amsgrad.to_record());
        weight_step(&mut optimizer, model.clone());
        optimizer
    });
    assert_eq!(ours.to_record().len(), 3);
    assert_eq!(record(&ours), record(&burns));
}

#[test]
#[should_panic(expected = "beta_2 must lie inside [0, 1), got 1")]
fn a_decay_of_one_is_refused_with_its_value() {
    FusedAdamConfig::new().with_beta_2(1.0).build();
}
