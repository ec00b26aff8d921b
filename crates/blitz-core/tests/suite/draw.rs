//! What a draw promises.

use std::cell::RefCell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use blitz_core::prelude::*;
use blitz_core::{LocationScale, Nats, Noise, NormalPrior, UnitNoise, WeightReading};
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor};

use crate::net::{Net, devices, linear, scalar, values};

fn input(device: &Device) -> Tensor<2> {
    Tensor::from_floats([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7]], device)
}

#[test]
fn all_reads_inside_a_draw_see_the_same_weights() {
    let net = Net::bayesian(&Device::flex());
    let _draw = net.draw(1, 0);
    let first = values(net.output.weight.val());
    assert_eq!(first, values(net.output.weight.val()));
    assert_ne!(first, values(net.output.weight.base()));
}

#[test]
fn reads_outside_a_draw_sample_afresh() {
    let net = Net::bayesian(&Device::flex());
    assert_ne!(
        values(net.output.weight.val()),
        values(net.output.weight.val())
    );
}

#[test]
fn a_read_outside_a_draw_is_none_of_the_draws_of_its_seed() {
    let layer = linear(3, 5, false, 0.6, &Device::flex()).bayesianize(&BayesianizeConfig::new());
    blitz_core::seed(42);
    let fresh = values(layer.weight.val());
    // Tests beside this one may have taken from the stream since it was seeded.
    for index in 0..1000 {
        let drawn = layer.with_draw(42, index, |layer| values(layer.weight.val()));
        assert_ne!(fresh, drawn, "{index}");
    }
}

#[test]
fn seed_and_index_decide_a_draw_and_nothing_else() {
    let net = Net::bayesian(&Device::flex());
    let weight = |seed, index| net.with_draw(seed, index, |net| values(net.output.weight.val()));
    assert_eq!(weight(5, 2), weight(5, 2));
    assert_ne!(weight(5, 2), weight(5, 3));
    assert_ne!(weight(5, 2), weight(6, 2));
    // Not the order in which the weights are read ...
    let _draw = net.draw(5, 2);
    let _ = net.hidden.weight.val();
    let after_hidden = values(net.output.weight.val());
    drop(_draw);
    assert_eq!(after_hidden, weight(5, 2));
    // ... nor the thread.
    let elsewhere = net.clone();
    let threaded = std::thread::spawn(move || {
        elsewhere.with_draw(5, 2, |net| values(net.output.weight.val()))
    });
    assert_eq!(threaded.join().unwrap(), after_hidden);
}

#[test]
fn weights_of_different_parameters_get_different_noise() {
    let device = Device::flex();
    let net = Net::bayesian(&device);
    let _draw = net.draw(9, 0);
    let noise = |weight: Tensor<1>, mean: Tensor<1>| values((weight - mean) / 0.02);
    let gamma = noise(net.norm.gamma.val(), net.norm.gamma.base());
    let beta = noise(net.norm.beta.val(), net.norm.beta.base());
    assert!(gamma.iter().zip(&beta).all(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn a_draw_is_the_same_on_flex_and_ndarray() {
    let [flex, ndarray] = devices();
    let net = Net::bayesian(&flex);
    let elsewhere = net.clone().to_device(&ndarray);
    for index in 0..5 {
        let here = net.with_draw(3, index, |net| values(net.forward(input(&flex))));
        let there = elsewhere.with_draw(3, index, |net| values(net.forward(input(&ndarray))));
        for (a, b) in here.iter().zip(&there) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} and {b}");
        }
    }
}

#[test]
fn the_noise_is_the_same_to_the_bit_on_flex_and_ndarray() {
    let draws = devices().map(|device| {
        let mut noise = Noise::new(NoiseKey::new(11, 4, 2));
        values(noise.standard_normal(&Tensor::<2>::zeros([101, 7], &device)))
    });
    assert_eq!(draws[0], draws[1]);
}

#[test]
fn the_rest_of_a_stream_as_a_generator_begins_where_the_normals_ended() {
    let key = NoiseKey::new(11, 4, 2);
    assert_eq!(Noise::new(key).into_rng(), key.rng());
    let mut noise = Noise::new(key);
    let _five = noise.standard_normal(&Tensor::<1>::zeros([5], &Device::flex()));
    // A whole number of blocks of four words.
    let mut expected = key.rng();
    expected.set_word_position(8);
    assert_eq!(noise.into_rng(), expected);
}

#[test]
fn noise_of_some_rows_has_nothing_but_normals() {
    let like = Tensor::<2>::zeros([2, 5], &Device::flex());
    let noise = || Noise::new(NoiseKey::new(1, 2, 3)).of_rows(&[7, 998], 1000);
    let refused = |what: &str, read: &dyn Fn(Noise)| {
        let read = AssertUnwindSafe(|| read(noise()));
        let panic = catch_unwind(read).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        let expected = format!("noise of 2 rows out of 1000 has no {what}");
        assert!(message.starts_with(&expected), "{message}");
    };
    refused("a generator", &|noise| {
        let _ = noise.into_rng();
    });
    refused("signs", &|mut noise| {
        let _: Tensor<2> = noise.signs([2, 5], &like);
    });
    refused("zeros and ones", &|mut noise| {
        let _: Tensor<2> = noise.bernoulli(0.5, [2, 5], &like);
    });
}

#[test]
fn a_saved_and_loaded_model_gives_the_same_draw() {
    let device = Device::flex();
    let net = Net::bayesian(&device);
    let loaded = Net::bayesian(&device).load_record(net.clone().into_record());
    let x = input(&device);
    let of = |net: &Net| net.with_draw(8, 1, |net| values(net.forward(x.clone())));
    assert_eq!(of(&net), of(&loaded));
}

#[test]
fn a_draw_survives_valid_and_train() {
    let device = Device::flex().autodiff();
    let net = Net::bayesian(&device);
    let valid = net.valid();
    let weight = |net: &Net| net.with_draw(8, 1, |net| values(net.output.weight.val()));
    assert_eq!(weight(&net), weight(&valid));
    assert_eq!(weight(&net), weight(&valid.train()));
}

#[test]
fn a_copy_without_autodiff_inside_a_draw_has_weights_without_autodiff() {
    let net = Net::bayesian(&Device::flex().autodiff());
    let valid = net.valid();
    let _draw = net.draw(8, 1);
    let with = net.output.weight.val();
    let without = valid.output.weight.val();
    assert!(with.is_autodiff() && !without.is_autodiff());
    assert_eq!(values(with), values(without));
}

/// The means alone in this type.
fn with_means_in(dtype: DType, net: &Net) -> Net {
    struct Cast(DType);

    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|mean| {
                let trains = mean.is_require_grad();
                mean.cast(self.0).detach().set_require_grad(trains)
            })
        }
    }

    let cast = |means: Net| Ok::<_, Infallible>(means.map(&mut Cast(dtype)));
    net.clone().map_means(cast).unwrap()
}

#[test]
fn a_copy_in_another_type_inside_a_draw_has_weights_of_its_type_from_the_same_noise() {
    let close = |a: &[f64], b: &[f64], dtype| {
        let rounding = if dtype == DType::BF16 { 1e-2 } else { 1e-6 };
        let pairs = a.iter().zip(b);
        for (a, b) in pairs {
            assert!((a - b).abs() < rounding * a.abs().max(1.0), "{a} and {b}");
        }
    };
    let host = |weight: Tensor<2>| weight.into_data().iter::<f64>().collect::<Vec<_>>();
    for device in [Device::flex(), Device::flex().autodiff()] {
        let net = Net::bayesian(&device);
        for dtype in [DType::F64, DType::BF16] {
            let copy = with_means_in(dtype, &net);
            let alone = copy.with_draw(8, 1, |copy| host(copy.output.weight.val()));
            let weights = || {
                [&net, &copy].map(|net| {
                    let weight = net.output.weight.val();
                    assert_eq!(weight.dtype(), net.output.weight.base().dtype());
                    host(weight)
                })
            };

            let draw = net.draw(8, 1).with_kl();
            let [first, second] = weights();
            assert_eq!(second, alone);
            close(&first, &second, dtype);
            // Each has the KL of its own.
            for net in [&copy, &net] {
                let _ = net.output.weight.val();
                let [kl, outside] = [net.output.kl_cost(), {
                    let _mean = Draw::mean();
                    let _other = net.draw(0, 0);
                    net.output.kl_cost()
                }];
                assert_eq!(kl.dtype(), outside.dtype());
                let [kl, outside] = [kl, outside].map(scalar);
                assert!((kl / outside - 1.0).abs() < 1e-6, "{kl} for {outside}");
            }
            // Before and after the pair's first draw has made a weight of each type.
            let draw = draw.antithetic(&net, 2).unwrap();
            let [first, second] = weights();
            close(&first, &second, dtype);
            drop(draw);

            let draw = net.draw(8, 1);
            draw.replace_weights(&net, |weight| weight.value * 0.0 + 0.5);
            for weight in weights() {
                assert_eq!(weight, vec![0.5; 10]);
            }
        }
    }
}

#[test]
fn materializing_inside_a_draw_gives_the_network_of_the_draw() {
    let device = Device::flex();
    let net = Net::bayesian(&device);
    let sampled = net.sample_network(2, 3);
    assert_eq!(sampled.num_bayesian_weights(), 0);
    let x = input(&device);
    let drawn = net.with_draw(2, 3, |net| values(net.forward(x.clone())));
    assert_eq!(drawn, values(sampled.forward(x)));
}

#[test]
fn the_mean_mode_equals_the_deterministic_network_to_the_bit() {
    for device in devices() {
        let plain = Net::plain(&device);
        let net = plain.clone().bayesianize(&BayesianizeConfig::new());
        let expected = values(plain.forward(input(&device)));
        assert_eq!(
            expected,
            net.with_mean(|net| values(net.forward(input(&device))))
        );
        assert_eq!(expected, values(net.mean_network().forward(input(&device))));
    }
}

thread_local! {
    /// What is read while a [`Nosy`] posterior computes, and what it gave.
    static BESIDE: RefCell<Option<Linear>> = const { RefCell::new(None) };
    static READ: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Noise whose computation reads another network, as a task does that runs on a thread which waits for a kernel.
#[derive(Module, Debug)]
struct Nosy {}

impl UnitNoise for Nosy {
    fn sample<const D: usize>(&self, noise: &mut Noise, like: &Tensor<D>) -> Tensor<D> {
        let beside = BESIDE.take();
        if let Some(net) = &beside {
            READ.with_borrow_mut(|read| read.push(values(net.weight.val())));
        }
        BESIDE.set(beside);
        noise.standard_normal(like)
    }

    fn std_dev(&self, _elements: usize) -> f64 {
        1.0
    }

    fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D> {
        Nats::of_weights(z.square() * -0.5)
    }
}

#[test]
fn a_weight_that_is_read_while_another_answers_a_question_does_not_answer_it() {
    let device = Device::flex();
    let beside = linear(4, 3, false, 0.6, &device).bayesianize(&BayesianizeConfig::new());
    let asked = linear(3, 5, false, 0.6, &device).attach_posteriors(|weight| {
        let posterior = LocationScale::new(Nosy {}, 0.1, weight.shape, weight.device);
        Some((posterior, NormalPrior::new(1.0)))
    });
    let draw = || asked.draw(3, 0);
    let expected = {
        let _draw = draw();
        let _ = asked.weight.val();
        values(beside.weight.val())
    };
    let alone = {
        let _draw = draw();
        values(asked.weight.val() - asked.weight.base())
    };
    BESIDE.set(Some(beside));
    let _draw = draw();
    let reading = WeightReading::with_perturbation(&asked.weight);
    BESIDE.set(None);
    let WeightReading::Split(split) = reading else {
        panic!("its noise has a sign")
    };
    assert_eq!(values(split.part), alone);
    assert_eq!(READ.take(), [expected]);
}

#[test]
fn draws_nest_and_the_innermost_decides() {
    let net = Net::bayesian(&Device::flex());
    let outer = net.draw(1, 0);
    let weight = values(net.output.weight.val());
    {
        let _inner = net.draw(1, 1);
        assert_ne!(weight, values(net.output.weight.val()));
        let _mean = Draw::mean();
        assert_eq!(
            values(net.output.weight.base()),
            values(net.output.weight.val())
        );
    }
    assert_eq!(weight, values(net.output.weight.val()));
    drop(outer);
    assert!(!blitz_core::draw_is_open());
}

#[test]
fn guards_dropped_out_of_order_leave_the_others_open() {
    let net = Net::bayesian(&Device::flex());
    let outer = net.draw(1, 0);
    let inner = net.draw(1, 1);
    let weight = values(net.output.weight.val());
    drop(outer);
    assert_eq!(weight, values(net.output.weight.val()));
    drop(inner);
    assert!(!blitz_core::draw_is_open());
}

#[test]
fn a_panic_closes_its_draw() {
    let net = Net::bayesian(&Device::flex());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _draw = net.draw(1, 0);
        panic!("inside the draw");
    }));
    assert!(result.is_err());
    assert!(!blitz_core::draw_is_open());
}

#[test]
fn only_one_anonymous_draw_opens_at_a_time() {
    let net = Net::bayesian(&Device::flex());
    let draw = Draw::fresh_if_none();
    assert!(draw.is_some() && Draw::fresh_if_none().is_none());
    assert_eq!(
        values(net.output.weight.val()),
        values(net.output.weight.val())
    );
}

#[test]
fn the_draw_of_a_second_process_is_the_same() {
    // Pinned: the numbers must not depend on parameter ids, which are random in every process.
    let device = Device::flex();
    let mut net = Net::plain(&device);
    net.output.weight = net.output.weight.map(|weight| weight.zeros_like());
    let net = net.bayesianize(&BayesianizeConfig::new());
    let weight = net.with_draw(42, 7, |net| values(net.output.weight.val()));
    // The parameter is the fifth with a posterior: weight and bias of `hidden`, gamma and beta of `norm`, then this.
    let expected: Vec<f32> = (0..10)
        .map(|i| 0.02 * NoiseKey::new(42, 7, 4).standard_normal_at(i))
        .collect();
    for (a, b) in weight.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-7, "{a} and {b}");
    }
}
